"""Labelled images of any size as prepared by tensorflow-datasets, read as files."""

import functools
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_dla.data.classification.prepared_folder import (
    find_prepared,
    open_prepared,
    whole_file,
)
from keras_dla.data.classification.tfds_cifar import import_tensorflow
from keras_dla.utils.optional_imports import import_for
from keras_dla.utils.types import Tensor

if TYPE_CHECKING:
    import tensorflow as tf

# Files that have to be downloaded by hand from image-net.org into the folder downloads/manual.
_ARCHIVES = {"imagenet2012": "ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar"}


class PreparedImages:
    """A prepared data set with the features `image` and `label`; nothing is written to it.

    Args:
        caller: string, name of the public function, for the message about a missing package.
        name: string, the data set's name, with its configuration if it has several.
        data_dir: path of the folder in which it was prepared, or `None` for tensorflow-datasets'
            default folder.

    Raises:
        ValueError: when `name` is not a name, or the data set has other features.
        FileNotFoundError: when the data set is not prepared in that folder.
        ImportError: when a package of the extra `data` is not installed.
    """

    def __init__(self, caller: str, name: str, data_dir: str | os.PathLike | None):
        if not isinstance(name, str) or not re.fullmatch(r"\w+(/\w[\w.-]*)?", name):
            raise ValueError(
                "`name` must be a data set of tensorflow-datasets such as 'imagenet2012', but is "
                f"{name!r}."
            )
        # tensorflow-datasets imports it without declaring it, and its error does not name the
        # package.
        import_for(caller, "importlib_resources")
        self._tf = import_tensorflow(caller)
        self._tfds = import_for(caller, "tensorflow_datasets")
        root = self._tfds.core.constants.DATA_DIR if data_dir is None else data_dir
        # Directly from the folder: `tfds.builder` would look the data set up online, and may write.
        self._builder = open_prepared(self._tfds, _folder(name, root))
        self._name = name
        self._check_format()
        self._check_features()

    @property
    def classes(self) -> int:
        """The number of classes."""
        return self._builder.info.features["label"].num_classes

    def size(self, split: str) -> int:
        """Returns the number of images of a split; raises `ValueError` if none has a label."""
        splits = self._builder.info.splits
        # The labels of ImageNet's test images were never published; they are stored as -1.
        known = sorted(set(splits) - ({"test"} if self._name == "imagenet2012" else set()))
        try:
            size = splits[split].num_examples if split.split("[")[0] in known else 0
        except (KeyError, ValueError):
            size = 0
        if not size:
            raise ValueError(
                f"`split` of {self._name} must be {' or '.join(map(repr, known))}, or a part of it "
                f"such as {known[0] + '[:10%]'!r}, but is {split!r}."
            )
        return size

    def records(
        self, split: str, seeds: Tensor = None, shuffle_buffer: int = 1
    ) -> "tf.data.Dataset":
        """Returns one pass over a split: a `tf.data.Dataset` of pairs of image file and label.

        It must be called in a function that TensorFlow traces, such as that of `flat_map`.

        Args:
            split: string such as `"train"` or `"train[:10%]"`.
            seeds: int64 tensor of shape `(2,)` on which the order depends; `None` for the stored
                order; defaults to None.
            shuffle_buffer: integer, the number of images among which the next one is drawn;
                defaults to 1.
        """
        files = self._files(split)
        if seeds is None:
            return self._read(files)
        # In the calling function, TensorFlow's global seed would have an effect too.
        self._tf.compat.v1.set_random_seed(None)
        once = {"reshuffle_each_iteration": False}
        records = self._read(files.shuffle(files.cardinality(), seed=seeds[0], **once))
        return records.shuffle(shuffle_buffer, seed=seeds[1], **once)

    def _files(self, split):
        """Returns the files of a split: paths with the numbers of records to skip and to take."""
        parts = self._builder.info.splits[split].file_instructions
        paths = [str(part.filename) for part in parts]
        skips = np.array([part.skip for part in parts], "int64")
        takes = np.array([part.take for part in parts], "int64")
        return self._tf.data.Dataset.from_tensor_slices((paths, skips, takes))

    def _read(self, files):
        """Reads in the order of tensorflow-datasets' `as_dataset`, whose errors name no file."""
        tf = self._tf
        records = files.interleave(
            functools.partial(whole_file, tf),
            cycle_length=1 if self._builder.info.disable_shuffling else 16,
            block_length=16,
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        return records.map(self._parse, num_parallel_calls=tf.data.AUTOTUNE)

    def _parse(self, record):
        decoders = {"image": self._tfds.decode.SkipDecoding()}
        parse = self._tf.autograph.experimental.do_not_convert(
            self._builder.info.features.deserialize_example
        )
        example = parse(record, decoders=decoders)
        return example["image"], example["label"]

    def _check_format(self):
        form = self._builder.info.file_format.value
        if form != "tfrecord":
            raise ValueError(
                f"`name` must be a data set prepared as tfrecord, but {self._name!r} is prepared "
                f"as {form}."
            )

    def _check_features(self):
        features = dict(self._builder.info.features.items())
        kinds = {"image": self._tfds.features.Image, "label": self._tfds.features.ClassLabel}
        if not all(isinstance(features.get(key), kind) for key, kind in kinds.items()):
            raise ValueError(
                "`name` must be a data set with an image feature 'image' and a class feature "
                f"'label', but {self._name!r} has {', '.join(map(repr, features))}."
            )


def _folder(name, root):
    try:
        return find_prepared(name, root)
    except FileNotFoundError as error:
        archives = _ARCHIVES.get(name)
        by_hand = f", with {archives} in {Path(root) / 'downloads' / 'manual'}" if archives else ""
        raise FileNotFoundError(
            f"`data_dir` must be a folder in which tensorflow-datasets has prepared {name}, but "
            f"{str(root)!r} lacks it; prepare it with: tfds build {name} "
            f"--data_dir={str(root)!r}{by_hand}"
        ) from error
