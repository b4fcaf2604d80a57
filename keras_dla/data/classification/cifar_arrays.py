"""CIFAR-10 and CIFAR-100 as arrays, from a download, an `.npz` file or a prepared folder."""

import os
import zipfile
import zlib

import keras
import numpy as np

from keras_dla.data.classification.tfds_cifar import (
    CIFAR_NAMES,
    naming_the_way_without_download,
    read_prepared,
)
from keras_dla.data.validation import check_images_and_labels
from keras_dla.utils.validation import check_choice

_KEYS = ("x_train", "y_train", "x_test", "y_test")


def load_cifar_arrays(
    name: str = "cifar100",
    source: str | os.PathLike | None = None,
    data_dir: str | os.PathLike | None = None,
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Loads CIFAR into memory, for `keras_dla.data.ArrayDataset`.

    With neither `source` nor `data_dir`, `keras.datasets` downloads the data set or uses its cached
    copy. TensorFlow is imported only with `data_dir`.

    Args:
        name: `"cifar10"` or `"cifar100"` (the 100 fine classes); defaults to `"cifar100"`.
        source: path of an `.npz` file with the arrays `x_train`, `y_train`, `x_test` and `y_test`:
            uint8 images `(size, height, width, channels)` and integer labels `(size,)` or `(size,
            1)`. Pickled objects in it are refused; defaults to None.
        data_dir: path of a folder in which tensorflow-datasets has prepared the data set. Nothing
            is written to it. Needs the extra `data`; defaults to None.

    Returns:
        A pair of pairs `(train_images, train_labels), (test_images, test_labels)`: uint8
        `(size, 32, 32, 3)` and int64 `(size,)`.

    Raises:
        ValueError: when `name` is unknown, both `source` and `data_dir` are given, or `source` does
            not contain such arrays.
        FileNotFoundError: when there is no file `source`, or `data_dir` lacks the data set.
        ImportError: when `data_dir` is given and tensorflow-datasets is not installed.

    Example:
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from keras_dla.data import load_cifar_arrays
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name) / "four.npz"
    >>> images, labels = np.zeros((4, 32, 32, 3), "uint8"), np.arange(4)
    >>> np.savez(path, x_train=images, y_train=labels, x_test=images[:2], y_test=labels[:2])
    >>> (x_train, y_train), (x_test, y_test) = load_cifar_arrays("cifar10", source=path)
    >>> x_train.shape, y_test.tolist()
    ((4, 32, 32, 3), [0, 1])
    >>> folder.cleanup()
    """
    check_choice("name", name, CIFAR_NAMES)
    if source is not None and data_dir is not None:
        raise ValueError(
            f"`source` must be None if `data_dir` ({str(data_dir)!r}) is given, but is "
            f"{str(source)!r}."
        )
    if source is not None:
        return _read_npz(source)
    if data_dir is not None:
        train = read_prepared("load_cifar_arrays", name, "train", data_dir)
        return train, read_prepared("load_cifar_arrays", name, "test", data_dir)
    with naming_the_way_without_download(name):
        (x_train, y_train), (x_test, y_test) = getattr(keras.datasets, name).load_data()
    return (x_train, _flat_labels(y_train)), (x_test, _flat_labels(y_test))


def _read_npz(path):
    arrays = _open_npz(path)
    return _checked(arrays, "x_train", "y_train"), _checked(arrays, "x_test", "y_test")


def _checked(arrays, images_name, labels_name):
    images, labels = arrays[images_name], arrays[labels_name]
    labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    check_images_and_labels(images, labels, (images_name, labels_name))
    return images, _flat_labels(labels)


def _open_npz(path) -> dict:
    if not os.path.isfile(path):
        raise FileNotFoundError(f"`source` must be the path of a file, but is {str(path)!r}.")
    # From a file that is not an archive, `np.load` would read a pickle or a single array.
    if not zipfile.is_zipfile(path):
        raise ValueError(f"`source` must be an .npz archive, but is {str(path)!r}.")
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [key for key in _KEYS if key not in archive.files]
            arrays = {key: archive[key] for key in _KEYS if key not in missing}
    except (ValueError, zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise ValueError(
            f"`source` must be an .npz archive of plain arrays, but is {str(path)!r} ({error})."
        ) from error
    if missing:
        raise ValueError(
            f"`source` must contain the arrays {', '.join(_KEYS)}, but {str(path)!r} lacks "
            f"{', '.join(missing)}."
        )
    return arrays


def _flat_labels(labels) -> np.ndarray:
    return labels.reshape(-1).astype("int64")
