"""Images with objects from a folder and an annotation file in COCO's format."""

import os
import warnings
from pathlib import Path

import numpy as np

from keras_dla.data.detection.coco_annotations import read_coco
from keras_dla.data.detection.exif_reading import SEEN, STORED, ExifReading
from keras_dla.data.detection.segmentation import decode_segmentations
from keras_dla.data.detection.source import DetectionSource
from keras_dla.data.images import read_header, read_image
from keras_dla.utils.validation import check_choice


class CocoSource(DetectionSource):
    """Images in a folder, with the objects that a JSON file in COCO's format lists.

    An example is a dictionary with `"image"` uint8 `(height, width, 3)`, `"image_id"`, `"boxes"`
    float32 `(objects, 4)` as (x1, y1, x2, y2), `"classes"` int64 `(objects,)`, `"crowd"` bool
    `(objects,)` and, with `masks`, `"masks"` uint8 `(objects, height, width)`. Classes are numbered
    from 0 in the order of the category ids. Boxes are as in the file, even beyond the image's
    border; `DetectionDataset` clips them.

    When the source is created, the whole file is checked, and that every image exists; a warning
    says how many objects will not be learned, and why. The file must not name images outside
    `images`. Photographs with an EXIF orientation are read in the way to which their boxes refer:
    upright as they are seen, or as they are stored.

    Args:
        annotations: path of the JSON file.
        images: path of the folder with the images.
        masks: bool, whether to draw the objects' segmentations; defaults to False.
        keep_empty: bool, whether to keep images without an object (crowds do not count); defaults
            to True.
        exif: `"seen"` or `"stored"`, what the boxes of photographs with an EXIF orientation refer
            to if the sizes in `annotations` do not show it; defaults to None, which refuses such
            photographs.

    Raises:
        FileNotFoundError: when the file, the folder or an image is missing.
        ValueError: when the file is not in COCO's format, or leaves nothing to learn; or, when an
            image is read, if it is damaged or its size differs from the file's.
        ImportError: when a package of the extra `detection` is needed, but not installed.

    Example:
    >>> import json, pathlib, tempfile
    >>> from keras_dla.data import CocoSource
    >>> folder = tempfile.TemporaryDirectory()
    >>> image = pathlib.Path(folder.name) / "one.ppm"
    >>> _ = image.write_bytes(b"P6 2 1 255 " + bytes(6))
    >>> content = {
    ...     "images": [{"id": 5, "file_name": "one.ppm", "height": 1, "width": 2}],
    ...     "annotations": [{"image_id": 5, "category_id": 9, "bbox": [1, 0, 1, 1]}],
    ...     "categories": [{"id": 9, "name": "cell"}],
    ... }
    >>> annotations = pathlib.Path(folder.name) / "annotations.json"
    >>> _ = annotations.write_text(json.dumps(content))
    >>> source = CocoSource(annotations, images=folder.name)
    >>> len(source), source.class_names, source.category_ids
    (1, ['cell'], [9])
    >>> source.coco()["annotations"][0]["bbox"]
    [1.0, 0.0, 1.0, 1.0]
    >>> folder.cleanup()
    """

    def __init__(
        self,
        annotations: str | os.PathLike,
        images: str | os.PathLike,
        masks: bool = False,
        keep_empty: bool = True,
        exif: str | None = None,
    ):
        check_choice("exif", exif, (None, SEEN, STORED))
        self.masks = bool(masks)
        self._exif = ExifReading(self._headers, exif)
        self._folder = Path(images)
        if not self._folder.is_dir():
            raise FileNotFoundError(f"`images` must be the path of a folder, but is {images!r}.")
        content = self._read(annotations)
        self.class_names = _distinct_names(content["categories"])
        self.category_ids = [category["id"] for category in content["categories"]]
        objects = _by_image(content["annotations"], self.masks)
        self._images = [
            {key: image[key] for key in ("id", "file_name", "height", "width")}
            for image in content["images"]
            if keep_empty or any(not entry["iscrowd"] for entry in objects.get(image["id"], ()))
        ]
        if not self._images:
            raise ValueError(
                "`annotations` must have an object in some image with `keep_empty=False`, but "
                f"{str(annotations)!r} has none."
            )
        self._objects = [objects.get(image["id"], []) for image in self._images]
        _check_files(self._folder, [image["file_name"] for image in self._images])

    def _read(self, annotations: str | os.PathLike) -> dict:
        """Returns the checked annotations in COCO's form."""
        return read_coco(annotations, self.masks)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> dict:
        """Returns example `index`, in the order of the file's `images`."""
        index = self._check_index(index)
        image, objects = self._images[index], self._objects[index]
        path = self._folder / image["file_name"]
        size = image["height"], image["width"]
        as_stored = self._exif.is_stored(read_header(path), size, str(path))
        pixels = read_image(path, as_stored=as_stored)
        height, width, _ = pixels.shape
        if (height, width) != size:
            raise ValueError(
                f"the image file {str(path)!r} must have the height and width of the "
                f"annotations, {size}, but has {(height, width)}."
            )
        boxes = np.array([entry["bbox"] for entry in objects], dtype="float64").reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        classes = [self.category_ids.index(entry["category_id"]) for entry in objects]
        example = {
            "image": pixels,
            "image_id": image["id"],
            "boxes": boxes.astype("float32"),
            "classes": np.array(classes, dtype="int64"),
            "crowd": np.array([entry["iscrowd"] for entry in objects], dtype="bool"),
        }
        if self.masks:
            segmentations = [entry["segmentation"] for entry in objects]
            example["masks"] = decode_segmentations(segmentations, height, width)
        return example

    def _headers(self):
        for image in self._images:
            header = read_header(self._folder / image["file_name"])
            yield header, (image["height"], image["width"])

    def info(self, index: int) -> dict:
        """Returns the `"image_id"`, `"height"` and `"width"` of image `index`, from the file."""
        image = self._images[self._check_index(index)]
        return {"image_id": image["id"], "height": image["height"], "width": image["width"]}

    def annotations(self, index: int) -> list[dict]:
        """Returns the objects of image `index` as in the file, without ids."""
        return [dict(entry) for entry in self._objects[self._check_index(index)]]


def _distinct_names(categories):
    """Returns the categories' names, with their ids if a name occurs twice."""
    names = [category["name"] for category in categories]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        warnings.warn(
            f"`annotations` has several categories named {', '.join(map(repr, twice))}; their "
            "ids are added to the names.",
            stacklevel=3,
        )
    return [
        f"{name} (id {category['id']})" if name in twice else name
        for name, category in zip(names, categories, strict=True)
    ]


def _by_image(annotations, masks):
    """Returns the objects of each image, with everything that evaluation needs."""
    by_image: dict[int, list[dict]] = {}
    for annotation in annotations:
        box = [float(number) for number in annotation["bbox"]]
        entry = {
            "category_id": annotation["category_id"],
            "bbox": box,
            "area": float(annotation.get("area", box[2] * box[3])),
            "iscrowd": int(annotation["iscrowd"]),
        }
        if masks:
            entry["segmentation"] = annotation.get("segmentation", [])
        by_image.setdefault(annotation["image_id"], []).append(entry)
    return by_image


def _check_files(folder, names):
    # Each folder is listed once, because a look-up per file takes minutes on a slow disk.
    parents = {(folder / name).parent for name in names}
    present = {
        Path(entry.path)
        for parent in parents
        if parent.is_dir()
        for entry in os.scandir(parent)
        if entry.is_file()
    }
    missing = [name for name in names if folder / name not in present]
    if missing:
        raise FileNotFoundError(
            f"`images` must be the folder with every image of `annotations`, but {str(folder)!r} "
            f"lacks {missing[0]!r}" + (f" and {len(missing) - 1} more" if len(missing) > 1 else "")
        )
