"""CIFAR as tensorflow-datasets prepared it, read into arrays."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import keras
import numpy as np

from keras_dla.data.classification.prepared_folder import (
    find_prepared,
    naming_damage,
    open_prepared,
)
from keras_dla.utils.optional_imports import import_for
from keras_dla.utils.validation import check_choice

CIFAR_NAMES = ("cifar10", "cifar100")


def read_prepared(
    caller: str, name: str, split: str, data_dir: str | os.PathLike | None
) -> tuple[np.ndarray, np.ndarray]:
    """Reads one split of CIFAR through tensorflow-datasets.

    Args:
        caller: name of the public function, for the message about a missing package.
        name: `"cifar10"` or `"cifar100"`.
        split: `"train"` or `"test"`.
        data_dir: path of a tensorflow-datasets folder that has the data set, which is only read, or
            `None` to download into tensorflow-datasets' own folder.

    Returns:
        A pair `(images, labels)`: uint8 `(size, 32, 32, 3)` and int64 `(size,)`, in the
        data set's order.
    """
    check_choice("name", name, CIFAR_NAMES)
    folder = None if data_dir is None else find_prepared(name, data_dir)
    # tensorflow-datasets imports it without requiring it, and names no package when it fails.
    import_for(caller, "importlib_resources")
    tf = import_tensorflow(caller)
    tfds = import_for(caller, "tensorflow_datasets")
    if folder is None:
        with naming_the_way_without_download(name):
            builder = tfds.builder(name)
            builder.download_and_prepare()
    else:
        # From the folder itself: `tfds.load` would look the data set up online, and may write.
        builder = open_prepared(tfds, folder)
    with naming_damage(Path(builder.data_dir)), tf.device("CPU"):
        whole = builder.as_dataset(split=split, batch_size=-1)
    return whole["image"].numpy(), whole["label"].numpy()


@contextlib.contextmanager
def naming_the_way_without_download(name: str) -> Iterator[None]:
    """Turns what a download raises inside the block into a sentence.

    Args:
        name: string, the data set's name.
    """
    try:
        yield
    except Exception as error:  # every layer between here and the network has its own
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ConnectionError(
            f"{name} cannot be downloaded ({reason}): give `data_dir`, a folder in which "
            "tensorflow-datasets has prepared it."
        ) from error


def import_tensorflow(caller: str) -> ModuleType:
    """Imports TensorFlow, and leaves the graphics card to another backend if one is in use."""
    tf = import_for(caller, "tensorflow")
    if keras.backend.backend() != "tensorflow":
        # TensorFlow would otherwise reserve nearly all of the card's memory. It raises an error
        # where the program around us has put it to use already.
        with contextlib.suppress(RuntimeError):
            tf.config.set_visible_devices([], "GPU")
    return tf
