"""The state from which an experiment continues, and the check that it belongs to the experiment."""

from pathlib import Path

import keras

from keras_dla.training.checkpoints.progress import BEST, LAST, LOG, Progress, load_last
from keras_dla.training.experiment.experiment import Experiment
from keras_dla.training.run_folder.folder import settings_differences
from keras_dla.training.seeds.compile_settings import compiled_settings


def load_state(
    experiment: Experiment, folder: Path, model: keras.Model
) -> tuple[keras.Model, Progress]:
    """Returns the last state in a run's folder, or `model` and an empty `Progress`.

    Args:
        experiment: the `Experiment`, resolved.
        folder: path of the run's folder.
        model: the experiment's network, new and compiled.

    Returns:
        The compiled model to continue with, and its progress.

    Raises:
        ValueError: when the state is damaged, or does not belong to this experiment.
    """
    loaded = load_last(folder)
    if loaded is None:
        _check_no_epochs(folder)
        return model, Progress()
    state, progress = loaded
    path = folder / LAST
    if progress.epochs > experiment.epochs:
        raise ValueError(
            f"{path} must have at most the {experiment.epochs} epochs of the experiment, but has "
            f"{progress.epochs}."
        )
    if _network(state) != _network(model):
        raise ValueError(
            f"{path} must contain the network {experiment.model!r}, but contains another one."
        )
    _check_compiled(state, model, path)
    return state, progress


def _check_no_epochs(folder: Path) -> None:
    for name in (LOG, BEST):
        if (folder / name).exists():
            raise ValueError(
                f"{folder} has a {name} but no {LAST} to continue from: restore that file, or "
                "choose another folder."
            )


def _network(model: keras.Model) -> tuple:
    """Returns what distinguishes networks, also in files of earlier versions."""
    layers = [(type(layer).__name__, getattr(layer, "formulation", None)) for layer in model.layers]
    return layers, sorted(tuple(weight.shape) for weight in model.weights)


def _check_compiled(state: keras.Model, model: keras.Model, path: Path) -> None:
    differences = settings_differences(compiled_settings(state), compiled_settings(model))
    if differences:
        raise ValueError(f"{path} belongs to another recipe: {'; '.join(differences)}.")
