"""Resizing, flipping and padding of an image together with its objects.

The functions take and return a sample: a dictionary of `"image"` `(height, width, 3)`, `"boxes"`
`(objects, 4)` as (x1, y1, x2, y2) in pixels, and further entries. Its `"masks"` `(objects, size,
size)` are relative to their boxes, so resizing does not change them.
"""

from typing import Any

import numpy as np

from keras_dla.data.images import resize_image


def resized_shape(
    height: int,
    width: int,
    shorter_side: int,
    longer_side: int,
    padded_shape: tuple[int, int] | None = None,
) -> tuple[int, int]:
    """Returns the size to which an image is resized, keeping its aspect ratio.

    It is the largest size with a shorter side of at most `shorter_side` and a longer side of at
    most `longer_side` (MMDetection's rule) that fits into `padded_shape`.

    Args:
        height: int, of the image.
        width: int, of the image.
        shorter_side: int, the limit of the shorter side.
        longer_side: int, the limit of the longer side.
        padded_shape: pair of int (height, width), or `None` for no such limit.

    Returns:
        The height and width, each rounded to the nearest int, at least 1.

    Example:
    >>> resized_shape(480, 640, shorter_side=800, longer_side=1333)
    (800, 1067)
    >>> resized_shape(480, 640, 800, 1333, padded_shape=(800, 800))
    (600, 800)
    """
    scales = [shorter_side / min(height, width), longer_side / max(height, width)]
    if padded_shape is not None:
        scales += [padded_shape[0] / height, padded_shape[1] / width]
    scale = min(scales)
    return max(int(height * scale + 0.5), 1), max(int(width * scale + 0.5), 1)


def resize(sample: dict, height: int, width: int) -> dict:
    """Resizes the image and scales its boxes.

    Example:
    >>> sample = {"image": np.zeros((4, 4, 3), "uint8"), "boxes": np.array([[0.0, 1, 2, 3]])}
    >>> resize(sample, 4, 4)["boxes"].tolist()
    [[0.0, 1.0, 2.0, 3.0]]
    """
    rows, columns, _ = sample["image"].shape
    scale_y, scale_x = height / rows, width / columns
    boxes = sample["boxes"] * np.array([scale_x, scale_y, scale_x, scale_y], dtype="float32")
    return sample | {
        "image": resize_image(sample["image"], height, width),
        "boxes": clip_boxes(boxes, height, width),
    }


def flip(sample: dict) -> dict:
    """Mirrors the image left to right, with its boxes and masks.

    Example:
    >>> sample = {"image": np.zeros((4, 10, 3), "uint8"), "boxes": np.array([[0.0, 1, 2, 3]])}
    >>> flip(sample)["boxes"].tolist()
    [[8.0, 1.0, 10.0, 3.0]]
    """
    width = sample["image"].shape[1]
    left, top, right, bottom = np.moveaxis(sample["boxes"], -1, 0)
    flipped = {
        "image": sample["image"][:, ::-1],
        "boxes": np.stack([width - right, top, width - left, bottom], axis=-1),
    }
    if "masks" in sample:
        flipped["masks"] = sample["masks"][..., ::-1]
    return sample | flipped


def clip_boxes(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    """Clips boxes `(objects, 4)` to the border of the image.

    Example:
    >>> clip_boxes(np.array([[-1.0, 2.0, 30.0, 9.0]]), height=8, width=20).tolist()
    [[0.0, 2.0, 20.0, 8.0]]
    """
    limits = np.array([width, height, width, height], dtype=boxes.dtype)
    return np.clip(boxes, 0, limits)


def padded_shape_of(shapes: Any, multiple: int = 32) -> tuple[int, int]:
    """Returns the smallest multiples of `multiple` as height and width that hold every image.

    Example:
    >>> padded_shape_of([(480, 640), (600, 100)])
    (608, 640)
    """
    height, width = np.max(list(shapes), axis=0)
    return -(-int(height) // multiple) * multiple, -(-int(width) // multiple) * multiple
