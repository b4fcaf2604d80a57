"""COCO, Pascal VOC and similar data sets as prepared by tensorflow-datasets."""

import os
import re

import numpy as np

from keras_dla.data.classification.prepared_folder import find_prepared, open_prepared
from keras_dla.data.detection.source import DetectionSource, example_annotations
from keras_dla.data.images import read_header, read_image
from keras_dla.utils.optional_imports import import_for

# Those of COCO's 91 categories that have objects; tensorflow-datasets numbers them from 0.
_COCO_IDS = sorted(set(range(1, 91)) - {12, 26, 29, 30, 45, 66, 68, 69, 71, 83})


class TfdsSource(DetectionSource):
    """A data set with objects that tensorflow-datasets has prepared, read by random access.

    It must have been prepared as array_record, with these two lines of Python; nothing is written
    to it:

        import tensorflow_datasets as tfds
        tfds.builder("coco/2017", file_format="array_record").download_and_prepare()

    `"coco/2017"`, `"voc/2007"` and `"voc/2012"` are known to work, and any other with the features
    `image` and `objects` with `bbox` and `label`. See `CocoSource` for the entries of an example;
    there are no masks. Objects that the data set marks as crowds, and VOC's difficult objects, are
    treated as crowds, which are neither learned nor counted in evaluation. The id of an image is
    its `image/id`, or else its index. An EXIF orientation is ignored, as in tensorflow-datasets.

    Args:
        name: str, the data set's name and configuration.
        split: str such as `"train"`, `"validation"` or `"train[:10%]"`.
        data_dir: path of the folder in which it was prepared, or `None` for tensorflow-datasets'
            default folder; defaults to `None`.

    Raises:
        ValueError: If `name` or `split` is not as described above, or the data set has other
            features or is not prepared as array_record.
        FileNotFoundError: If the data set is not prepared in that folder.
        ImportError: If a package of the extras `data` and `detection` is not installed.

    Example:
    >>> from keras_dla.data import TfdsSource
    >>> source = TfdsSource("coco/2017", "validation")  # doctest: +SKIP
    >>> len(source), source.class_names[0]  # doctest: +SKIP
    (5000, 'person')
    """

    def __init__(self, name: str, split: str, data_dir: str | os.PathLike | None = None):
        if not isinstance(name, str) or not re.fullmatch(r"\w+(/\w[\w.-]*)?", name):
            raise ValueError(
                "`name` must be a data set of tensorflow-datasets such as 'coco/2017', but is "
                f"{name!r}."
            )
        builder = _open(name, data_dir)
        _check_features(name, builder.info.features)
        self._has_ids = "image/id" in builder.info.features
        self._records = _records(name, builder, split, data_dir)
        self.class_names = list(builder.info.features["objects"]["label"].names)
        self.category_ids = _category_ids(name, len(self.class_names))

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> dict:
        """Returns example `index`, in the order of the files."""
        record = self._record(index)
        image = read_image(record["image"], name=f"image {index}", as_stored=True)
        height, width, _ = image.shape
        example = self._objects(record, height, width)
        del example["areas"]
        return {"image": image, "image_id": self._image_id(record, index)} | example

    def info(self, index: int) -> dict:
        """Returns the `"image_id"`, `"height"` and `"width"` of image `index`."""
        record = self._record(index)
        header = read_header(record["image"], name=f"image {index}")
        size = {"height": header.height, "width": header.width}
        return {"image_id": self._image_id(record, index)} | size

    def annotations(self, index: int) -> list[dict]:
        """Returns the objects of image `index` in COCO's format, without ids."""
        record = self._record(index)
        header = read_header(record["image"], name=f"image {index}")
        objects = self._objects(record, header.height, header.width)
        return example_annotations(objects, self.category_ids)

    def _record(self, index):
        return self._records[self._check_index(index)]

    def _image_id(self, record, index):
        return int(record["image/id"]) if self._has_ids else int(index)

    def _objects(self, record, height, width):
        objects = record["objects"]
        fractions = np.asarray(objects["bbox"], dtype="float64").reshape(-1, 4)
        boxes = fractions[:, [1, 0, 3, 2]] * (width, height, width, height)
        crowd = np.zeros(len(boxes), dtype="bool")
        for key in ("is_crowd", "is_difficult"):
            if key in objects:
                crowd |= np.asarray(objects[key], dtype="bool")
        return {
            "boxes": boxes.astype("float32"),
            "classes": np.asarray(objects["label"], dtype="int64").reshape(-1),
            "crowd": crowd,
            "areas": objects.get("area"),
        }


def _command(name, data_dir):
    # In Python, because the program `tfds` does not start without Apache Beam.
    folder = "" if data_dir is None else f", data_dir={str(data_dir)!r}"
    return (
        "prepare it with: import tensorflow_datasets as tfds; "
        f"tfds.builder({name!r}, file_format='array_record'{folder}).download_and_prepare()"
    )


def _open(name, data_dir):
    # tensorflow-datasets imports it without declaring it, and its error does not name the package.
    import_for("TfdsSource", "importlib_resources")
    tfds = import_for("TfdsSource", "tensorflow_datasets")
    root = tfds.core.constants.DATA_DIR if data_dir is None else data_dir
    try:
        folder = find_prepared(name, root)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"`data_dir` must be a folder with the data set {name!r}, but {str(root)!r} lacks "
            f"it; {_command(name, data_dir)}"
        ) from error
    # Directly from the folder: `tfds.builder` would look the data set up online, and may write.
    return open_prepared(tfds, folder)


def _check_features(name, features):
    # Features with single values have no keys.
    names = {name: set(getattr(features[name], "keys", tuple)()) for name in features}
    if "image" not in names or not {"bbox", "label"} <= names.get("objects", set()):
        raise ValueError(
            "`name` must be a data set with the features 'image' and 'objects' with 'bbox' and "
            f"'label', but is {name!r}."
        )


def _records(name, builder, split, data_dir):
    tfds = import_for("TfdsSource", "tensorflow_datasets")
    try:
        # The image stays an encoded file, of which `info` reads only the header.
        records = builder.as_data_source(str(split), decoders={"image": tfds.decode.SkipDecoding()})
        # A slice that ends before it begins has a negative length, which is an error too.
        is_empty = len(records) == 0
    except NotImplementedError as error:
        raise ValueError(
            f"`name` must be a data set prepared as array_record, but {name!r} is prepared as "
            f"{builder.info.file_format.value}; delete it and {_command(name, data_dir)}"
        ) from error
    except (KeyError, ValueError) as error:
        raise _wrong_split(builder, split) from error
    if is_empty:
        raise _wrong_split(builder, split)
    return records


def _wrong_split(builder, split):
    names = ", ".join(map(repr, sorted(builder.info.splits)))
    return ValueError(
        f"`split` must be {names}, or a part of one that is not empty, such as 'train[:10%]', but "
        f"is {split!r}."
    )


def _category_ids(name, count):
    is_coco = name.startswith("coco/") and count == len(_COCO_IDS)
    return list(_COCO_IDS) if is_coco else list(range(1, count + 1))
