"""Masks in COCO's two forms, polygons and run lengths."""

from typing import Any

import numpy as np

from keras_dla.utils.optional_imports import import_for

# A limit, because pycocotools walks along a polygon in steps of a fifth of a pixel.
_FURTHEST = 100_000


def check_segmentation(segmentation: Any, height: int, width: int) -> None:
    """Raises `ValueError` unless this is a valid segmentation for an image of this size.

    Args:
        segmentation: list of polygons, each a list x, y, x, y, ... of at least three points; or
            a dictionary of run lengths: `{"size": [height, width], "counts": list or str}`.
        height: int, of the image.
        width: int, of the image.

    Example:
    >>> check_segmentation([[0, 0, 4, 0, 4, 4]], height=8, width=8)
    """
    if isinstance(segmentation, dict):
        _check_run_lengths(segmentation, height, width)
    elif not isinstance(segmentation, list) or not all(map(_is_polygon, segmentation)):
        raise ValueError(
            "a segmentation that is neither run lengths nor a list of polygons of at least three "
            f"points within {_FURTHEST} pixels"
        )


def _is_polygon(polygon) -> bool:
    if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
        return False
    try:
        points = np.array(polygon)
    except ValueError:
        return False
    # Infinities and NaN count as too far.
    return points.ndim == 1 and points.dtype.kind in "iuf" and bool(abs(points).max() <= _FURTHEST)


def _check_run_lengths(segmentation, height, width):
    if segmentation.get("size") != [height, width]:
        raise ValueError(
            f"run lengths of size {segmentation.get('size')!r} in an image of size "
            f"{[height, width]}"
        )
    counts = _counts(segmentation)
    proper = isinstance(counts, list) and all(
        type(count) is int and 0 <= count <= height * width for count in counts
    )
    if not proper or sum(counts) != height * width:
        raise ValueError("run lengths that do not add up to the size of its image")


def _counts(segmentation):
    counts = segmentation.get("counts")
    return _decompress(counts) if isinstance(counts, str) else counts


def _decompress(text):
    """Returns the numbers of COCO's compressed run lengths; `None` if it is something else.

    Each number is written in groups of five bits, the lowest first, one character per group. From
    the fourth number on, the difference to the last but one is written.
    """
    counts: list[int] = []
    value, shift = 0, 0
    for character in text:
        group = ord(character) - 48
        if not 0 <= group < 64 or shift > 60:
            return None
        value |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if group & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value, shift = 0, 0
    return None if shift else counts


def decode_segmentations(segmentations: Any, height: int, width: int) -> np.ndarray:
    """Draws segmentations that `check_segmentation` has checked.

    Args:
        segmentations: list of segmentations in COCO's forms.
        height: int, of the image.
        width: int, of the image.

    Returns:
        uint8 array `(objects, height, width)` of 0 and 1.

    Raises:
        ImportError: If one consists of polygons and pycocotools is not installed.

    Example:
    >>> corner = {"size": [2, 2], "counts": [0, 1, 3]}
    >>> decode_segmentations([corner], height=2, width=2).tolist()
    [[[1, 0], [0, 0]]]
    """
    masks = np.zeros((len(segmentations), height, width), dtype="uint8")
    for mask, segmentation in zip(masks, segmentations, strict=True):
        if isinstance(segmentation, dict):
            mask[:] = _draw_run_lengths(_counts(segmentation), height, width)
        # pycocotools does not accept an empty list, which means an empty mask.
        elif segmentation:
            mask[:] = _draw_polygons(segmentation, height, width)
    return masks


def _draw_run_lengths(counts, height, width):
    """Draws alternating runs of 0 and 1, down the columns."""
    pixels = np.repeat(np.arange(len(counts)) % 2, counts)
    return pixels.reshape(width, height).T


def _draw_polygons(polygons, height, width):
    codec = import_for("CocoSource", "pycocotools.mask", extra="detection")
    return codec.decode(codec.merge(codec.frPyObjects(polygons, height, width)))


def draw_in_row_order(segmentation: dict, height: int, width: int) -> np.ndarray:
    """Draws run lengths along the rows, as some tools write them by mistake.

    Args:
        segmentation: dictionary of run lengths, checked by `check_segmentation`.
        height: int, of the image in pixels.
        width: int, of the image in pixels.
    """
    return _draw_run_lengths(_counts(segmentation), width, height).T


def polygon_bounds(segmentation: object) -> tuple[float, float, float, float] | None:
    """Returns the smallest box (x1, y1, x2, y2) around polygons; `None` if there are none.

    Args:
        segmentation: list of polygons in COCO's format, or anything else.

    Example:
    >>> polygon_bounds([[0, 1, 4, 1, 4, 7]])
    (0.0, 1.0, 4.0, 7.0)
    """
    if not isinstance(segmentation, list) or not segmentation:
        return None
    if not all(map(_is_polygon, segmentation)):
        return None
    points = np.concatenate([np.reshape(polygon, (-1, 2)) for polygon in segmentation])
    (left, top), (right, bottom) = points.min(0), points.max(0)
    return float(left), float(top), float(right), float(bottom)


def encode_masks(masks: np.ndarray) -> list[dict]:
    """Encodes masks as COCO's run lengths, ready for JSON.

    Args:
        masks: array `(objects, height, width)` of 0 and 1.

    Returns:
        A list of dictionaries `{"size": [height, width], "counts": list of int}`.

    Example:
    >>> encode_masks(np.array([[[1, 0], [0, 0]]]))
    [{'size': [2, 2], 'counts': [0, 1, 3]}]
    """
    return [{"size": list(mask.shape), "counts": _run_lengths(mask)} for mask in masks]


def _run_lengths(mask):
    # A 0 is put before the first pixel, because the first run is of zeros and may be empty.
    pixels = np.concatenate([[0], mask.T.reshape(-1).astype("int8")])
    [changes] = np.nonzero(np.diff(pixels))
    return np.diff(changes, prepend=0, append=mask.size).tolist()
