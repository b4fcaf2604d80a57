"""Loads what a builder's argument `weights` names."""

import os
from collections.abc import Callable
from pathlib import Path

import keras

from keras_dla.models.trained_weights import CLASSES, is_packed, load_packed, load_shipped

# Loads checkpoints of other code; `keras_dla.interop`, which imports this room, registers it here.
CheckpointLoader = Callable[[keras.Model, Path], object]
_loaders: list[CheckpointLoader] = []


def register_checkpoint_loader(loader: CheckpointLoader) -> CheckpointLoader:
    """Registers the function that loads files other than Keras's, from the model and the path."""
    _loaders[:] = [loader]
    return loader


def load_weights_into(
    model: keras.Model,
    weights: "str | os.PathLike",
    interaction: keras.layers.Layer | None = None,
) -> None:
    """Loads the weights that a builder was given.

    Args:
        model: `keras.Model`, just built.
        weights: string or path, a data set for which trained weights come with the package, a file
            written by `model.save_weights` or `keras_dla.training.pack_weights`, or a checkpoint
            that `keras_dla.interop.load_checkpoint` takes.
        interaction: layer or `None`, whose copies the model's blocks interact by; defaults to
            `None`, those of a plain ResNet.

    Raises:
        ValueError: when there are no such weights, or the file does not fit the model.
    """
    path = Path(weights)
    if str(weights) in CLASSES:
        load_shipped(model, str(weights), interaction)
    elif not path.is_file():
        raise ValueError(
            f"`weights` must be None, the name of a data set ('cifar100') or an existing file, but "
            f"is {str(weights)!r}."
        )
    elif path.suffix in (".h5", ".hdf5"):
        model.load_weights(path)
    elif is_packed(path):
        load_packed(model, path, interaction)
    else:
        _loaders[0](model, path)
