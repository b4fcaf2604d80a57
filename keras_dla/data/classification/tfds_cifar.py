"""CIFAR as tensorflow-datasets prepared it, read into arrays."""

import contextlib
import os
from pathlib import Path
from types import ModuleType

import keras
import numpy as np

from keras_dla.utils.optional_imports import import_for
from keras_dla.utils.validation import check_choice

CIFAR_NAMES = ("cifar10", "cifar100")


def find_prepared(name: str, data_dir: str | os.PathLike) -> Path:
    """The folder of the newest version of data set `name` in `data_dir`; writes nothing.

    Args:
        name: `"cifar10"` or `"cifar100"`.
        data_dir: path of a tensorflow-datasets folder.

    Returns:
        The path `data_dir/name/version`.

    Raises:
        FileNotFoundError: when there is no such data set in `data_dir`.
    """
    found = [info.parent for info in Path(data_dir).glob(f"{name}/*.*.*/dataset_info.json")]
    if not found:
        raise FileNotFoundError(
            f"`data_dir` must be a folder in which tensorflow-datasets has prepared {name} "
            f"(with a file {name}/<version>/dataset_info.json). "
            f"Received: data_dir={str(data_dir)!r}"
        )
    return max(found, key=_version)


def _version(folder: Path) -> tuple:
    return tuple(int(part) if part.isdigit() else -1 for part in folder.name.split("."))


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
    # From the folder itself: `tfds.load` would look the data set up online, and may write.
    builder = tfds.builder(name) if folder is None else tfds.builder_from_directory(folder)
    if folder is None:
        builder.download_and_prepare()
    with tf.device("CPU"):
        whole = builder.as_dataset(split=split, batch_size=-1)
    return whole["image"].numpy(), whole["label"].numpy()


def import_tensorflow(caller: str) -> ModuleType:
    """Imports TensorFlow, and leaves the graphics card to another backend if one is in use."""
    tf = import_for(caller, "tensorflow")
    if keras.backend.backend() != "tensorflow":
        # TensorFlow would otherwise reserve nearly all of the card's memory. It raises an error
        # where the program around us has put it to use already.
        with contextlib.suppress(RuntimeError):
            tf.config.set_visible_devices([], "GPU")
    return tf
