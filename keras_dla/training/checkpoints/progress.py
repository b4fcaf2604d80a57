"""The progress of a run: the record inside `last.keras`, written and read."""

import dataclasses
import json
import os
import zipfile
from pathlib import Path

import keras

from keras_dla.training.checkpoints.random_state import get_counters, set_counters

LAST, BEST, LOG = "last.keras", "best.keras", "log.csv"
PROGRESS = "progress.json"


@dataclasses.dataclass(frozen=True)
class EpochPart:
    """The progress inside an unfinished epoch.

    Args:
        steps: integer, the number of its steps that are done.
        left: integer, the number of its steps that are left.
        learning_rate: float, the learning rate at its first step.
        seconds: float, how long its steps took.
        metrics: state of the metrics that accumulate over it.

    Example:
    >>> from keras_dla.training import EpochPart
    >>> EpochPart(steps=100, left=291, learning_rate=0.1, seconds=60.0, metrics=[]).left
    291
    """

    steps: int
    left: int
    learning_rate: float
    seconds: float
    metrics: list


@dataclasses.dataclass
class Progress:
    """The progress of a run.

    Args:
        history: one dictionary per epoch: `epoch` (from 1), `learning_rate`, Keras's logs and
            `seconds`; defaults to an empty list.
        generators: state of the random numbers outside the model; defaults to an empty list.
        part: the `EpochPart` of the unfinished epoch, or `None` between epochs; defaults to None.
        other_generators: `generators` of the processes of `launch()` other than the main one;
            defaults to an empty list.

    Example:
    >>> from keras_dla.training import Progress
    >>> progress = Progress([{"epoch": 1, "learning_rate": 0.1, "loss": 2.5, "seconds": 60.0}])
    >>> progress.epochs, progress.steps
    (1, 0)
    """

    history: list[dict] = dataclasses.field(default_factory=list)
    generators: list[str] = dataclasses.field(default_factory=list)
    part: EpochPart | None = None
    other_generators: list[list[str]] = dataclasses.field(default_factory=list)

    @property
    def epochs(self) -> int:
        """The number of epochs that are done."""
        return len(self.history)

    @property
    def steps(self) -> int:
        """The number of steps that are done in the next epoch."""
        return 0 if self.part is None else self.part.steps


def load_last(folder: str | os.PathLike) -> tuple[keras.Model, Progress] | None:
    """Loads the last state that a run has saved.

    The model is compiled, with the state of its optimizer and of its random numbers. Nothing in the
    file is executed (`safe_mode` of Keras).

    Args:
        folder: folder that an `EpochCheckpoint` wrote to.

    Returns:
        The model and its `Progress`; `None` if nothing was saved yet.

    Raises:
        ValueError: when the checkpoint is damaged, or its optimizer cannot be restored.

    Example:
    >>> import tempfile
    >>> from keras_dla.training import load_last
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     print(load_last(folder))
    None
    """
    path = Path(folder) / LAST
    if not path.exists():
        return None
    try:
        record = _read_record(path)
        model = keras.saving.load_model(path, safe_mode=True)
        set_counters(model, record["counters"])
        progress = _progress_of(record)
    except Exception as error:  # the kind of error depends on where the file is damaged
        raise _damaged(path, error) from error
    _check_optimizer(model, record, path)
    return model, progress


def read_progress(folder: str | os.PathLike) -> Progress | None:
    """Reads the progress of a run without loading its model.

    Args:
        folder: folder that an `EpochCheckpoint` wrote to.

    Returns:
        The `Progress` of the last state; `None` if nothing was saved yet.

    Raises:
        ValueError: when the checkpoint is damaged.
    """
    path = Path(folder) / LAST
    return progress_in(path) if path.exists() else None


def progress_in(path: Path) -> Progress:
    """Reads the record inside a run's `last.keras` or `best.keras`.

    Args:
        path: path of the file.

    Returns:
        The `Progress` when it was saved.

    Raises:
        ValueError: when the file is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _progress_of(json.loads(archive.read(PROGRESS)))
    except Exception as error:
        raise _damaged(path, error) from error


def add_record(path: Path, model: keras.Model, progress: Progress) -> None:
    """Adds the entries that Keras leaves out to a model file that was just saved."""
    record = {
        **dataclasses.asdict(progress),
        "counters": get_counters(model),
        "optimizer_variables": len(model.optimizer.variables),
    }
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(PROGRESS, json.dumps(record))


def _progress_of(record: dict) -> Progress:
    part = record.get("part")  # runs of earlier versions have no such entry
    return Progress(
        record["history"],
        record["generators"],
        None if part is None else EpochPart(**part),
        record.get("other_generators", []),
    )


def _check_optimizer(model: keras.Model, record: dict, path: Path) -> None:
    """Raises `ValueError` where Keras only warns that it ignored the optimizer's state."""
    if len(model.optimizer.variables) != record["optimizer_variables"]:
        raise ValueError(
            f"{path} was loaded without the state of its optimizer: set the global dtype policy "
            "to that of the run."
        )


def _damaged(path: Path, error: Exception) -> ValueError:
    reason = f"{type(error).__name__}: {error}".splitlines()[0].rstrip()
    return ValueError(f"{path} cannot be read and may be damaged ({reason}).")


def _read_record(path: Path) -> dict:
    with zipfile.ZipFile(path) as archive:
        broken = archive.testzip()
        if broken is not None:
            raise ValueError(f"{broken} in it has a wrong checksum.")
        return json.loads(archive.read(PROGRESS))
