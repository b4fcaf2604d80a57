"""Files of annotations in COCO's format, read and checked."""

import json
import os
from pathlib import PurePosixPath, PureWindowsPath

from keras_dla.data.detection.segmentation import check_segmentation


def read_coco(path: str | os.PathLike, masks: bool) -> dict:
    """Reads annotations in COCO's format, and checks all that is used of them.

    Args:
        path: Path of a JSON file.
        masks: bool, whether every object must have a segmentation.

    Returns:
        The file's dictionary. Its `categories` are sorted by id.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not JSON or not COCO; the sentence names the first wrong entry.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"`annotations` must be the path of a JSON file. Received: {str(path)!r}"
        )
    try:
        content = _parse(path)
        _check_lists(content)
        category_ids = _check_categories(content["categories"])
        images = _check_images(content["images"])
        for number, annotation in enumerate(content["annotations"]):
            _check_annotation(number, annotation, category_ids, images, masks)
        _check_boxes(content["annotations"], images)
    except ValueError as error:
        raise ValueError(
            f"`annotations` must be a file in COCO's format, but {str(path)!r} has {error}."
        ) from error
    content["categories"] = sorted(content["categories"], key=lambda category: category["id"])
    return content


def _parse(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"something other than JSON ({error})") from error


def _check_lists(content):
    keys = ("images", "annotations", "categories")
    if not isinstance(content, dict):
        raise ValueError(f"no dictionary with {', '.join(keys)}")
    missing = [key for key in keys if not isinstance(content.get(key), list)]
    if missing:
        raise ValueError(f"no list {' and no list '.join(map(repr, missing))}")
    for key in keys:
        for number, entry in enumerate(content[key]):
            if not isinstance(entry, dict):
                raise ValueError(f"a value in {key!r} that is no dictionary (number {number})")


def _check_categories(categories):
    if not categories:
        raise ValueError("no categories")
    for category in categories:
        if type(category.get("id")) is not int or not isinstance(category.get("name"), str):
            raise ValueError(f"a category without a whole number 'id' or a 'name' ({category!r})")
    return _distinct("categories", categories)


def _check_images(images):
    if not images:
        raise ValueError("no images")
    for image in images:
        sides = (image.get("height"), image.get("width"))
        if type(image.get("id")) is not int or not all(type(n) is int and n > 0 for n in sides):
            raise ValueError(
                f"an image without a whole number 'id', 'height' or 'width' ({image!r})"
            )
        _check_file_name(image.get("file_name"))
    _distinct("images", images)
    return {image["id"]: image for image in images}


def _check_file_name(name):
    """A file from elsewhere must not make us open files outside the image folder."""
    if not isinstance(name, str) or not name or "\0" in name:
        raise ValueError(f"an image without a 'file_name' ({name!r})")
    windows = PureWindowsPath(name)
    outside = PurePosixPath(name).is_absolute() or windows.root or windows.drive
    if outside or ".." in windows.parts:
        raise ValueError(f"an image whose 'file_name' leads out of the image folder ({name!r})")


def _distinct(key, entries):
    ids = {entry["id"] for entry in entries}
    if len(ids) < len(entries):
        raise ValueError(f"an id that occurs twice in {key!r}")
    return ids


def _check_annotation(number, annotation, category_ids, images, masks):
    # Looked up only if it is a number: a list would be no key.
    image_id, category_id = (annotation.get(key) for key in ("image_id", "category_id"))
    if type(image_id) is not int or image_id not in images:
        raise ValueError(
            f"an annotation (number {number}) whose image_id {image_id!r} is none of its images"
        )
    if type(category_id) is not int or category_id not in category_ids:
        raise ValueError(
            f"an annotation (number {number}) whose category_id {category_id!r} is none of its "
            "categories"
        )
    box = annotation.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        raise ValueError(
            f"an annotation (number {number}) whose bbox {box!r} is not [x, y, width, height] in "
            "finite numbers"
        )
    if min(box[2:]) < 0:
        raise ValueError(
            f"an annotation (number {number}) whose bbox {box!r} has a negative width or height"
        )
    if annotation.get("iscrowd", 0) not in (0, 1):
        raise ValueError(f"an annotation (number {number}) whose iscrowd is neither 0 nor 1")
    if not _is_number(annotation.get("area", 0)):
        raise ValueError(f"an annotation (number {number}) whose area is no finite number")
    if masks:
        image = images[image_id]
        try:
            check_segmentation(annotation.get("segmentation"), image["height"], image["width"])
        except ValueError as error:
            raise ValueError(f"an annotation (number {number}) with {error}") from error


def _check_boxes(annotations, images):
    """Refuses corners where COCO has extents: the boxes would be too large without a word."""
    corners = [
        number
        for number, annotation in enumerate(annotations)
        if _is_corners(annotation["bbox"], images[annotation["image_id"]])
    ]
    if 2 * len(corners) > len(annotations):
        raise ValueError(
            f"boxes that look like [x1, y1, x2, y2] instead of [x, y, width, height]: so read, "
            f"{len(corners)} of {len(annotations)} leave their image, and as corners they fit "
            f"(number {corners[0]}: {annotations[corners[0]]['bbox']!r})"
        )


def _is_corners(box, image):
    x, y, right, bottom = box
    height, width = image["height"], image["width"]
    # Boxes of honest files leave their image too, by a rounded pixel.
    leaves = x + right > width + 1 or y + bottom > height + 1
    return leaves and 0 <= x <= right <= width and 0 <= y <= bottom <= height


def _is_number(value):
    # NaN and infinities, which JSON may hold, are not below the limit.
    return type(value) in (int, float) and abs(value) < 1e9
