"""The confusion matrix: which classes a detector mistakes for which."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_dla.detection.coco.results import import_pycocotools
from keras_dla.detection.validation import check_fraction


def confusion_matrix(
    objects: Sequence[dict],
    results: Sequence[dict],
    category_ids: Sequence[int],
    score: float = 0.5,
    iou_threshold: float = 0.5,
) -> np.ndarray:
    """Counts the classes that were found on the objects of each class.

    In order of descending score, each detection is matched with the unmatched object that its box
    overlaps most, whatever the classes, if the overlap is at least `iou_threshold`. Crowds do not
    count, nor do detections on crowds that match no object.

    Args:
        objects: sequence of dictionaries, the `annotations` of COCO's format.
        results: sequence of dictionaries, see `keras_dla.detection.coco.results.coco_results`.
        category_ids: sequence of integers, the id of each class, in the order of the rows.
        score: float from 0 to 1, the lowest score of a detection that counts; defaults to `0.5`.
        iou_threshold: float from 0 to 1, the smallest overlap of a match; defaults to `0.5`.

    Returns:
        An integer array `[classes + 1, classes + 1]`: rows are the classes of objects, columns the
        classes that were found. The last row counts detections without an object, the last column
        objects that were missed.

    Raises:
        ValueError: when a threshold is not from 0 to 1.
        ImportError: if pycocotools is not installed.

    Example:
    >>> from keras_dla.detection.coco.confusion import confusion_matrix
    >>> square = {"image_id": 1, "bbox": [4.0, 4.0, 20.0, 20.0]}
    >>> found = [{**square, "category_id": 9, "score": 0.8}]
    >>> confusion_matrix([{**square, "category_id": 7}], found, [7, 9]).tolist()
    [[0, 1, 0], [0, 0, 0], [0, 0, 0]]
    """
    check_fraction("score", score)
    check_fraction("iou_threshold", iou_threshold)
    numbers = {category: number for number, category in enumerate(category_ids)}
    nothing = len(numbers)
    matrix = np.zeros((nothing + 1, nothing + 1), "int64")
    by_image = _by_image(objects), _by_image([r for r in results if r["score"] >= score])
    for image in set().union(*by_image):
        there, found = (part.get(image, []) for part in by_image)
        found = sorted(found, key=lambda result: -result["score"])
        for real, detected in _matches(there, found, iou_threshold):
            row = nothing if real is None else numbers[real["category_id"]]
            column = nothing if detected is None else numbers[detected["category_id"]]
            matrix[row, column] += 1
    return matrix


def _by_image(entries):
    of_image: dict[Any, list[dict]] = {}
    for entry in entries:
        of_image.setdefault(entry["image_id"], []).append(entry)
    return of_image


def _matches(there, found, iou_threshold):
    """Returns pairs of object and detection, with `None` for a missed or an absent object."""
    is_crowd = np.array([bool(one.get("iscrowd")) for one in there], bool)
    overlaps = _overlaps(there, found, is_crowd)
    free = ~is_crowd
    pairs = []
    for detected, row in zip(found, overlaps, strict=True):
        reached = np.where(free, row, -1.0)
        best = int(reached.argmax()) if len(there) else -1
        if len(there) and reached[best] >= iou_threshold:
            free[best] = False
            pairs.append((there[best], detected))
        elif not (row[is_crowd] >= iou_threshold).any():
            pairs.append((None, detected))
    return pairs + [(one, None) for one, is_free in zip(there, free, strict=True) if is_free]


def _overlaps(there, found, is_crowd):
    """Returns `[detections, objects]`; with a crowd, the share of the detection inside it."""
    if not there or not found:
        return np.zeros((len(found), len(there)))
    boxes = (np.array([one["bbox"] for one in entries], "float64") for entries in (found, there))
    return import_pycocotools("mask").iou(*boxes, is_crowd.astype("uint8"))
