"""Experiments that differ only in their seed, trained in one program on JAX."""

import dataclasses
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from keras_dla.training.checkpoints.progress import LAST, LOG
from keras_dla.training.experiment.data import open_data
from keras_dla.training.experiment.experiment import Experiment
from keras_dla.training.experiment.result import MODEL, Result, read_result, settings_of
from keras_dla.training.experiment.run import new_model, precision_of, with_used_options
from keras_dla.training.run_folder.disk_space import check_writable
from keras_dla.training.run_folder.folder import holds_run, open_run
from keras_dla.training.run_folder.versions import note_versions
from keras_dla.training.seeds.train_seeds import check_jax, train_seeds
from keras_dla.utils.files import replacing
from keras_dla.utils.folder_lock import check_lock

STATE = "at-once"


def run_seeds(
    experiments: Sequence[Experiment],
    folders: Sequence[str | os.PathLike],
    data_dir: str | os.PathLike | None = None,
    on_epoch: Callable[[list[dict]], None] | None = None,
) -> list[Result]:
    """Trains experiments that differ only in their seed at the same time, by `train_seeds()`.

    Each gets the folder of a run, with `settings.json`, `versions.json`, `log.csv` and at the end
    `model.keras`. Until then the first folder keeps the state of all of them, after every epoch, in
    `at-once/`; the same call continues from there. The result of an experiment is that of
    `run_experiment()`, up to rounding.

    Args:
        experiments: `Experiment`s, of which none is finished.
        folders: the path of each experiment's folder.
        data_dir: folder in which tensorflow-datasets has prepared the data set; without it, the
            data is downloaded; defaults to None.
        on_epoch: function that is called with the newest entries of the histories after every
            epoch; defaults to None.

    Returns:
        The `Result`s.

    Raises:
        ValueError: when the experiments differ in more than their seed, a folder contains another
            experiment, or the state belongs to other seeds.
        OSError: when a folder cannot be written to, or another process uses it.
        RuntimeError: when the backend is not JAX.
        DivergenceError: when the loss of a seed is not finite.

    Example:
    >>> from keras_dla.training import Experiment, run_seeds
    >>> experiments = [Experiment("dla_l_20", seed=seed) for seed in range(5)]
    >>> folders = [f"runs/{experiment.name}" for experiment in experiments]
    >>> results = run_seeds(experiments, folders)  # doctest: +SKIP
    """
    check_jax("run_seeds")
    experiments = [experiment.resolved() for experiment in experiments]
    paths = [Path(folder) for folder in folders]
    common = _common_settings(experiments)
    begun = _check_folders(experiments, paths)
    first, state = experiments[0], paths[0] / STATE
    data = open_data(first, data_dir)
    sources = {experiment.seed: data.with_seed(experiment.seed) for experiment in experiments}
    for experiment, folder in zip(experiments, paths, strict=True):
        open_run(folder, settings_of(experiment), resume=True)
        note_versions(folder, len(read_result(folder).history))
    runs = dict(zip(sources, paths, strict=True))

    def after_epoch(rows):
        if rows[0]["epoch"] < first.epochs:  # a run counts as finished once it has the last row
            _copy_logs(state, runs)
        if on_epoch is not None:
            on_epoch(rows)

    with precision_of(first):
        train_seeds(
            lambda: new_model(with_used_options(first) if begun else first),
            list(runs),
            lambda seed, epoch: sources[seed].train(epoch * first.steps),
            first.epochs,
            first.steps,
            validation_data=data.test,
            folder=state,
            on_epoch=after_epoch,
            settings=common,
        )
    for seed, folder in runs.items():
        check_lock(folder)
        os.replace(state / f"seed-{seed}.keras", folder / MODEL)
    _copy_logs(state, runs)
    shutil.rmtree(state)
    return [read_result(folder) for folder in paths]


def _common_settings(experiments) -> dict:
    """Returns the settings that all experiments share, which must be everything but the seed."""
    first = experiments[0]
    for experiment in experiments:
        if dataclasses.replace(experiment, seed=first.seed) != first:
            raise ValueError(
                f"`experiments` must differ only in their seed, but {experiment.name!r} and "
                f"{first.name!r} differ in more."
            )
    return {name: value for name, value in settings_of(first).items() if name != "seed"}


def _check_folders(experiments, folders) -> bool:
    """Raises an error if a folder cannot be used; returns whether one contains its run."""
    begun = False
    for experiment, folder in zip(experiments, folders, strict=True):
        begun |= holds_run(folder, settings_of(experiment))
        check_writable(folder)
        if (folder / LAST).exists():
            raise ValueError(
                f"{folder} contains a run that was started on its own and must be "
                "resumed on its own."
            )
    return begun


def _copy_logs(state, runs):
    for seed, folder in runs.items():
        check_lock(folder)
        with replacing(folder / LOG) as partial:
            shutil.copyfile(state / f"seed-{seed}.csv", partial)
