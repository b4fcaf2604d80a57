"""CIFAR as prepared by tensorflow-datasets, read into arrays."""

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
        data_dir: path of a tensorflow-datasets folder with the data set, to which nothing is
            written, or `None` to download into tensorflow-datasets' default folder.

    Returns:
        A pair `(images, labels)`: uint8 `(size, 32, 32, 3)` and int64 `(size,)`, in the
        data set's order.
    """
    check_choice("name", name, CIFAR_NAMES)
    folder = None if data_dir is None else find_prepared(name, data_dir)
    # tensorflow-datasets imports it without declaring it, and its error does not name the package.
    import_for(caller, "importlib_resources")
    tf = import_tensorflow(caller)
    tfds = import_for(caller, "tensorflow_datasets")
    if folder is None:
        with naming_the_way_without_download(name):
            builder = tfds.builder(name)
            builder.download_and_prepare()
    else:
        # Directly from the folder: `tfds.load` would look the data set up online, and may write.
        builder = open_prepared(tfds, folder)
    with naming_damage(Path(builder.data_dir)), tf.device("CPU"):
        whole = builder.as_dataset(split=split, batch_size=-1)
    return whole["image"].numpy(), whole["label"].numpy()


@contextlib.contextmanager
def naming_the_way_without_download(name: str) -> Iterator[None]:
    """Turns errors of a download inside the block into one sentence.

    Args:
        name: string, the data set's name.
    """
    try:
        yield
    except Exception as error:  # the libraries in between all have their own exceptions
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ConnectionError(
            f"{name} cannot be downloaded ({reason}): give `data_dir`, a folder in which "
            "tensorflow-datasets has prepared it."
        ) from error


def import_tensorflow(caller: str) -> ModuleType:
    """Imports TensorFlow, and hides the graphics card from it if Keras uses another backend."""
    tf = import_for(caller, "tensorflow")
    if keras.backend.backend() != "tensorflow":
        # TensorFlow would otherwise reserve nearly all of the card's memory. It raises an error if
        # the program has used TensorFlow already.
        with contextlib.suppress(RuntimeError):
            tf.config.set_visible_devices([], "GPU")
    return tf
