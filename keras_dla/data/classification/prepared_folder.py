"""Finds data sets that tensorflow-datasets has prepared, and checks that they are complete."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from keras_dla.utils.types import Tensor

_BUFFER = 8 << 20  # bytes to read at a time from one file
# The part of TensorFlow's messages that describes an unreadable image.
_DAMAGE = re.compile(r"(Invalid (JPEG|PNG|GIF|BMP)|Unknown image file format)[^\[\n]*")
# Its message for a file that `whole_file` refuses.
_NAMED = re.compile(r"assertion failed: \[(.* is damaged: .*\.)\]")


def find_prepared(name: str, data_dir: str | os.PathLike) -> Path:
    """Returns the folder of the newest version of data set `name` in `data_dir`; writes nothing.

    Args:
        name: string, the data set's name, with its configuration if it has several.
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
            f"(with a file {name}/<version>/dataset_info.json), but is {str(data_dir)!r}."
        )
    return max(found, key=_version)


def open_prepared(tfds: ModuleType, folder: Path) -> Any:
    """Returns tensorflow-datasets' builder of a prepared folder, after checking its files.

    Args:
        tfds: the module `tensorflow_datasets`.
        folder: path that `find_prepared` returned.

    Returns:
        A `tfds.core.DatasetBuilder`; nothing is looked up online or written.

    Raises:
        ValueError: when a file is missing, empty or damaged; the message names it.
    """
    with naming_damage(folder / "dataset_info.json"):
        builder = tfds.builder_from_directory(folder)
        splits = {name: split.filepaths for name, split in builder.info.splits.items()}
    for name, paths in splits.items():
        for path in map(Path, paths):
            if not path.is_file() or not path.stat().st_size:
                raise ValueError(
                    f"{folder} must have all files of the split {name!r}, but {path.name} is "
                    "missing or empty; prepare the data set again."
                )
    return builder


@contextlib.contextmanager
def naming_damage(path: Path) -> Iterator[None]:
    """Turns errors caused by a damaged file inside the block into a `ValueError` that names it.

    Args:
        path: path of the file, or of the folder if it is one of several.
    """
    try:
        yield
    except Exception as error:  # of JSON, protocol buffers or TensorFlow
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(
            f"{path} is damaged: prepare the data set again with tensorflow-datasets ({reason})."
        ) from error


def whole_file(tf: ModuleType, path: Tensor, skip: Tensor, take: Tensor) -> Any:
    """Returns the records of a TFRecord file, with an error that names it if it is damaged.

    TensorFlow's own error does not name the file. The readable records of a damaged file come
    first, and then the error.

    Args:
        tf: the module `tensorflow`.
        path: string tensor.
        skip: int64 tensor, the number of records to skip. It must be an input: TensorFlow's
            optimiser of pipelines crashes for one output of an operation with several.
        take: int64 tensor, the number of records to take after that; like `skip`.

    Returns:
        A `tf.data.Dataset` of string tensors.
    """

    def refuse(path):
        sentence = tf.strings.join(
            [path, " is damaged: prepare the data set again with tensorflow-datasets."]
        )
        # Always false, but known only when it runs.
        with tf.control_dependencies([tf.debugging.Assert(tf.equal(path, ""), [sentence])]):
            return tf.identity(path)

    records = tf.data.TFRecordDataset(path, buffer_size=_BUFFER).ignore_errors()
    # An intact file has all the records that are taken before this.
    damage = tf.data.Dataset.from_tensors(path).map(refuse)
    return records.concatenate(damage).skip(skip).take(take)


@contextlib.contextmanager
def naming_damaged_batches() -> Iterator[None]:
    """Turns TensorFlow's error for a damaged image or file inside the block into a sentence.

    Raises:
        ValueError: when a batch cannot be read; the message names the file, or says what is wrong
            with the image.
    """
    try:
        yield
    except Exception as error:
        if not type(error).__module__.startswith("tensorflow"):
            raise
        named, found = _NAMED.search(str(error)), _DAMAGE.search(str(error))
        if named is not None:
            raise ValueError(named[1]) from error
        if found is None:
            raise
        raise ValueError(
            "An image of the prepared data set is damaged: prepare the data set again with "
            f"tensorflow-datasets ({found[0].strip()})."
        ) from error


def _version(folder: Path) -> tuple:
    return tuple(int(part) if part.isdigit() else -1 for part in folder.name.split("."))
