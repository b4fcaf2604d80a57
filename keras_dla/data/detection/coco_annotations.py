"""Reads and checks annotation files in COCO's format."""

import contextlib
import json
import os
from pathlib import PurePosixPath, PureWindowsPath

from keras_dla.data.detection.coco_mistakes import (
    check_box_kind,
    check_left_to_learn,
    check_run_length_order,
)
from keras_dla.data.detection.segmentation import check_segmentation


def read_coco(path: str | os.PathLike, masks: bool) -> dict:
    """Reads annotations in COCO's format, and checks everything that is used.

    Args:
        path: path of a JSON file.
        masks: bool, whether every object must have a segmentation.

    Returns:
        The file's dictionary. Its `categories` are sorted by id.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not JSON or not in COCO's format; the message names the first wrong
            entry.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"`annotations` must be the path of a JSON file, but is {str(path)!r}."
        )
    name = f"{str(path)!r}"
    try:
        content = _parse(path)
    except ValueError as error:
        raise _not_coco(name, error) from error
    return check_coco(content, name, masks)


def check_coco(content: dict, name: str, masks: bool) -> dict:
    """Checks everything that is used of annotations in COCO's format.

    Args:
        content: dictionary, the content of the JSON file, which is changed in place.
        name: str, its name in errors.
        masks: bool, whether every object must have a segmentation.

    Returns:
        `content` in COCO's own form. Its `categories` are sorted by id.

    Raises:
        ValueError: when it is not in COCO's format; the message names the first wrong entry.
    """
    try:
        _check_lists(content)
        _tidy(content)
        category_ids = _check_categories(content["categories"])
        images = _check_images(content["images"])
        for number, annotation in enumerate(content["annotations"]):
            _check_annotation(number, annotation, category_ids, images, masks)
        check_box_kind(content["annotations"], images)
        if masks:
            check_run_length_order(content["annotations"], images)
        check_left_to_learn(content["annotations"], images, masks)
    except ValueError as error:
        raise _not_coco(name, error) from error
    content["categories"] = sorted(content["categories"], key=lambda category: category["id"])
    return content


def _not_coco(name, error):
    return ValueError(f"`annotations` must be a file in COCO's format, but {name} has {error}.")


def _parse(path):
    try:
        with open(path, encoding="utf-8-sig") as file:
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
                raise ValueError(f"a value in {key!r} that is not a dictionary (number {number})")


def _tidy(content):
    """Converts unambiguous deviations that tools write into COCO's form."""
    for category in content["categories"]:
        _turn_to_numbers(category, "id")
    for image in content["images"]:
        _turn_to_numbers(image, "id", "height", "width")
    for annotation in content["annotations"]:
        _turn_to_numbers(annotation, "image_id", "category_id", "iscrowd", "area")
        if isinstance(annotation.get("bbox"), list):
            annotation["bbox"] = [_as_number(value) for value in annotation["bbox"]]
        for key in ("iscrowd", "area", "segmentation"):
            if annotation.get(key) is None:
                annotation.pop(key, None)
        annotation.setdefault("iscrowd", 0)


def _turn_to_numbers(entry, *keys):
    for key in keys:
        if key in entry:
            entry[key] = _as_number(entry[key])


def _as_number(value):
    """Returns "12" and 12.0 as 12, "1.5" as 1.5, and anything else unchanged."""
    if isinstance(value, str):
        for number in (int, float):
            with contextlib.suppress(ValueError):
                return _as_number(number(value))
    return int(value) if isinstance(value, float) and value.is_integer() else value


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
    """Refuses names that lead out of the image folder, because the file is untrusted."""
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
    # Looked up only if it is a number, because a list cannot be a key.
    image_id, category_id = (annotation.get(key) for key in ("image_id", "category_id"))
    if type(image_id) is not int or image_id not in images:
        raise ValueError(
            f"an annotation (number {number}) whose image_id {image_id!r} is not among its images"
        )
    if type(category_id) is not int or category_id not in category_ids:
        raise ValueError(
            f"an annotation (number {number}) whose category_id {category_id!r} is not among its "
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
    if annotation["iscrowd"] not in (0, 1):
        raise ValueError(f"an annotation (number {number}) whose iscrowd is neither 0 nor 1")
    if not _is_number(annotation.get("area", 0)):
        raise ValueError(f"an annotation (number {number}) whose area is not a finite number")
    if masks:
        image = images[image_id]
        try:
            check_segmentation(annotation.get("segmentation", []), image["height"], image["width"])
        except ValueError as error:
            raise ValueError(f"an annotation (number {number}) with {error}") from error


def _is_number(value):
    # NaN and infinities, which JSON may contain, are not below the limit.
    return type(value) in (int, float) and abs(value) < 1e9
