"""The results of a run, read from its folder."""

import dataclasses
import os
from pathlib import Path
from typing import NamedTuple

from keras_dla.training.checkpoints.progress import LAST, LOG, read_progress
from keras_dla.training.checkpoints.run_files import numbers_of, read_log
from keras_dla.training.experiment.experiment import Experiment, read_experiment
from keras_dla.training.run_folder.folder import SETTINGS, holds_run

# The model file that `run_seeds()` writes.
MODEL = "model.keras"


class Result(NamedTuple):
    """The log of a run.

    Args:
        experiment: the `Experiment`.
        history: one dictionary per epoch, of numbers.

    Example:
    >>> from keras_dla.training import Experiment, Result
    >>> rows = [{"epoch": 1.0, "val_accuracy": 0.5}, {"epoch": 2.0, "val_accuracy": 0.25}]
    >>> result = Result(Experiment("resnet_20", epochs=2), rows)
    >>> result.is_finished, result.accuracy, result.best["epoch"]
    (True, 0.25, 1.0)
    """

    experiment: Experiment
    history: list[dict]

    @property
    def is_finished(self) -> bool:
        """Whether every epoch is done."""
        return len(self.history) >= self.experiment.epochs

    @property
    def accuracy(self) -> float:
        """The test accuracy after the last epoch, 0 to 1."""
        return self.history[-1]["val_accuracy"]

    @property
    def best(self) -> dict:
        """The epoch with the best test accuracy; the first one if several are equal."""
        return max(self.history, key=lambda row: row["val_accuracy"])


def read_result(folder: str | os.PathLike) -> Result:
    r"""Reads the settings and the log of a run, without its models.

    Args:
        folder: folder of a run, with `settings.json` and, from the first epoch on, `log.csv`.

    Returns:
        A `Result`.

    Raises:
        FileNotFoundError: when the folder does not contain a run.
        ValueError: when a file in it is damaged.

    Example:
    >>> import pathlib, tempfile
    >>> from keras_dla.training import Experiment, open_run, read_result
    >>> parent = tempfile.TemporaryDirectory()
    >>> folder = open_run(f"{parent.name}/run", {"model": "resnet_20", "epochs": 2})
    >>> _ = (folder / "log.csv").write_text("epoch,val_accuracy\n1,0.5\n2,0.25\n")
    >>> result = read_result(folder)
    >>> result.is_finished, result.accuracy, result.best["epoch"]
    (True, 0.25, 1.0)
    >>> parent.cleanup()
    """
    folder = Path(folder)
    if not (folder / SETTINGS).is_file():
        raise FileNotFoundError(f"{folder} must be the folder of a run, but has no {SETTINGS}.")
    return Result(read_experiment(folder / SETTINGS), _history(folder))


def is_finished(experiment: Experiment, folder: str | os.PathLike) -> bool:
    """Returns whether a folder contains this experiment, trained to its end.

    Args:
        experiment: an `Experiment`.
        folder: path of a folder, which need not exist.

    Returns:
        Whether every epoch of it is done.

    Raises:
        FileExistsError: when the folder contains something other than a run.
        ValueError: when it contains another experiment.

    Example:
    >>> import tempfile
    >>> from keras_dla.training import Experiment, is_finished
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     is_finished(Experiment("resnet_20"), folder)
    False
    """
    if not holds_run(folder, settings_of(experiment)):
        return False
    trained = any((Path(folder) / name).exists() for name in (LAST, MODEL))
    return trained and read_result(folder).is_finished


def settings_of(experiment: Experiment) -> dict:
    """Returns the settings that identify a run: the resolved experiment.

    `sync_batch_norm=False` is left out, so that runs of earlier versions have the same settings.
    """
    settings = dataclasses.asdict(experiment.resolved())
    if not experiment.sync_batch_norm:
        del settings["sync_batch_norm"]
    return settings


def _history(folder: Path) -> list[dict]:
    """Returns the history in the last state, or else in the log, which follows from it."""
    progress = read_progress(folder)
    if progress is None:
        return read_log(folder / LOG)
    return [numbers_of(row) for row in progress.history]
