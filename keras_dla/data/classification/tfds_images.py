"""Labelled images of any size as tensorflow-datasets prepared them, read as files."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from keras_dla.data.classification.prepared_folder import find_prepared, open_prepared
from keras_dla.data.classification.tfds_cifar import import_tensorflow
from keras_dla.utils.optional_imports import import_for
from keras_dla.utils.types import Tensor

if TYPE_CHECKING:
    import tensorflow as tf

# What has to be fetched by hand, from image-net.org, and lie in the folder downloads/manual.
_ARCHIVES = {"imagenet2012": "ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar"}


class PreparedImages:
    """A data set with the features `image` and `label`, which is only read.

    Args:
        caller: string, name of the public function, for the message about a missing package.
        name: string, the data set's name, and configuration if it has some.
        data_dir: path of the folder in which it was prepared, or `None` for tensorflow-datasets'
            own folder.

    Raises:
        ValueError: when `name` is no name, or the data set has other features.
        FileNotFoundError: when the data set is not prepared in that folder.
        ImportError: when a package of the extra `data` is not installed.
    """

    def __init__(self, caller: str, name: str, data_dir: str | os.PathLike | None):
        if not isinstance(name, str) or not re.fullmatch(r"\w+(/\w[\w.-]*)?", name):
            raise ValueError(
                "`name` must be a data set of tensorflow-datasets such as 'imagenet2012', but is "
                f"{name!r}."
            )
        # tensorflow-datasets imports it without requiring it, and names no package when it fails.
        import_for(caller, "importlib_resources")
        self._tf = import_tensorflow(caller)
        self._tfds = import_for(caller, "tensorflow_datasets")
        root = self._tfds.core.constants.DATA_DIR if data_dir is None else data_dir
        # From the folder itself: `tfds.builder` would look the data set up online, and may write.
        self._builder = open_prepared(self._tfds, _folder(name, root))
        self._name = name
        self._check_features()

    @property
    def classes(self) -> int:
        """The number of classes."""
        return self._builder.info.features["label"].num_classes

    def size(self, split: str) -> int:
        """The number of images in a split; `ValueError` if there is none, or none has labels."""
        splits = self._builder.info.splits
        # The labels of ImageNet's test images were never published; they are -1 there.
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
        """One pass over a split: a `tf.data.Dataset` of pairs of an image's file and its label.

        To be called in a function that TensorFlow traces, such as that of `flat_map`.

        Args:
            split: string such as `"train"` or `"train[:10%]"`.
            seeds: int64 tensor of shape `(2,)` on which the order depends; `None` for the stored
                order; defaults to None.
            shuffle_buffer: integer, among how many images the next one is drawn; defaults to 1.
        """
        if seeds is None:
            return self._read(split, shuffle_files=False)
        # In the function that calls this, TensorFlow's global seed would have a say as well.
        self._tf.compat.v1.set_random_seed(None)
        files = {"shuffle_seed": seeds[0], "shuffle_reshuffle_each_iteration": False}
        records = self._read(split, shuffle_files=True, **files)
        return records.shuffle(shuffle_buffer, seed=seeds[1], reshuffle_each_iteration=False)

    def _read(self, split, shuffle_files, **options):
        # A data set that was prepared in an order of its own may be shuffled here all the same.
        options |= {"try_autocache": False, "enable_ordering_guard": False}
        read = self._tf.autograph.experimental.do_not_convert(self._builder.as_dataset)
        records = read(
            split=split,
            shuffle_files=shuffle_files,
            decoders={"image": self._tfds.decode.SkipDecoding()},
            read_config=self._tfds.ReadConfig(**options),
        )
        return records.map(lambda record: (record["image"], record["label"]))

    def _check_features(self):
        features = dict(self._builder.info.features.items())
        kinds = {"image": self._tfds.features.Image, "label": self._tfds.features.ClassLabel}
        if not all(isinstance(features.get(key), kind) for key, kind in kinds.items()):
            raise ValueError(
                "`name` must be a data set with an image feature 'image' and a class feature "
                f"'label', but is {self._name!r}, which has {', '.join(map(repr, features))}."
            )


def _folder(name, root):
    try:
        return find_prepared(name, root)
    except FileNotFoundError as error:
        archives = _ARCHIVES.get(name)
        by_hand = f", with {archives} in {Path(root) / 'downloads' / 'manual'}" if archives else ""
        raise FileNotFoundError(
            f"`data_dir` must be a folder in which tensorflow-datasets has prepared {name}. "
            f"Received: {str(root)!r}, which lacks it; prepare it with: "
            f"tfds build {name} --data_dir={str(root)!r}{by_hand}"
        ) from error
