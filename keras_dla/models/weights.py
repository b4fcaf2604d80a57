"""What `weights=` of a builder takes."""

import os
from collections.abc import Callable
from pathlib import Path

import keras

# Loads a checkpoint of other code; `keras_dla.interop`, which rests on this room, puts its own in.
CheckpointLoader = Callable[[keras.Model, Path], object]
_loaders: list[CheckpointLoader] = []


def register_checkpoint_loader(loader: CheckpointLoader) -> CheckpointLoader:
    """Has `weights=` load files other than Keras's by a function of the model and the path."""
    _loaders[:] = [loader]
    return loader


def load_weights_into(model: keras.Model, weights: "str | os.PathLike") -> None:
    """Loads the weights that a builder was given.

    Args:
        model: `keras.Model`, just built.
        weights: string or path, a file written by `model.save_weights`, or a checkpoint that
            `keras_dla.interop.load_checkpoint` takes.

    Raises:
        ValueError: when it is the name of weights that do not exist, or the file does not fit.
    """
    path = Path(weights)
    if str(weights) in ("imagenet", "cifar10", "cifar100"):
        raise ValueError(
            f"`weights` must be the path of a file: nobody has published {str(weights)!r} weights "
            f"of these networks yet; keras_dla.interop.load_pretrained_resnet(model, file) starts "
            f"one from a trained ResNet."
        )
    if not path.is_file():
        raise ValueError(f"`weights` must be None or an existing file, but is {str(weights)!r}.")
    if path.suffix in (".h5", ".hdf5"):
        model.load_weights(path)
    else:
        _loaders[0](model, path)
