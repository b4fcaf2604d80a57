"""Anchors: the boxes of fixed size that a region proposal network starts from."""

import functools
from collections.abc import Sequence

import numpy as np

from keras_dla.utils.validation import check_positive_integer


def level_anchors(
    shape: tuple[int, int], stride: int, scale: float = 8, ratios: Sequence[float] = (0.5, 1, 2)
) -> np.ndarray:
    """Returns the anchors of one level of a feature pyramid.

    At every position (row, column) of the map, one anchor for each ratio, all of area
    `(scale * stride)**2` and around the point `(column * stride, row * stride)`, as in
    MMDetection 2.

    Args:
        shape: height and width of the map.
        stride: pixels of the image from one position to the next.
        scale: side of the square anchor, in strides.
        ratios: height over width of the anchors.

    Returns:
        A float32 array `[height * width * len(ratios), 4]` of boxes: row by row, the ratios of one
        position side by side, as in a channels-last map `[height, width, len(ratios) * 4]`.

    Raises:
        ValueError: if an argument is not positive.

    Example:
    >>> from keras_dla.detection.ops.anchors import level_anchors
    >>> level_anchors((1, 2), stride=4, scale=2, ratios=(1,)).tolist()
    [[-4.0, -4.0, 4.0, 4.0], [0.0, -4.0, 8.0, 4.0]]
    """
    height, width = shape
    check_positive_integer("shape[0]", height)
    check_positive_integer("shape[1]", width)
    check_positive_integer("stride", stride)
    if not scale > 0:
        raise ValueError(f"`scale` must be positive, but is {scale!r}.")
    if not len(ratios) or not all(ratio > 0 for ratio in ratios):
        raise ValueError(f"`ratios` must be positive numbers, but is {ratios!r}.")
    # A copy, so that a caller may change it without affecting the cached array.
    return _level_anchors(height, width, stride, float(scale), tuple(ratios)).copy()


@functools.lru_cache(maxsize=64)
def _level_anchors(height, width, stride, scale, ratios):
    root = np.sqrt(np.asarray(ratios, "float64"))
    half_width, half_height = 0.5 * scale * stride / root, 0.5 * scale * stride * root
    around_zero = np.stack([-half_width, -half_height, half_width, half_height], axis=-1)
    y, x = np.meshgrid(np.arange(height) * stride, np.arange(width) * stride, indexing="ij")
    centres = np.stack([x, y, x, y], axis=-1)[:, :, None]
    return (centres + around_zero).reshape(-1, 4).astype("float32")
