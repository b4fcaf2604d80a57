"""The mask of an object cut to its own box."""

import numpy as np


def cut_masks(masks: np.ndarray, boxes: np.ndarray, size: int) -> np.ndarray:
    """Cuts each mask to its box and resamples it to `size` x `size` cells.

    A cell is 1 if the mask covers at least half of its area, computed exactly. The result does not
    depend on the size to which the image is resized, so it is cut once, from the annotated mask.

    Args:
        masks: uint8 array `(objects, height, width)` of 0 and 1.
        boxes: float array `(objects, 4)` of (x1, y1, x2, y2) inside the image, not empty.
        size: int, the cells along each side.

    Returns:
        uint8 array `(objects, size, size)` of 0 and 1.

    Example:
    >>> mask = np.array([[[0, 0, 1, 1], [0, 0, 1, 0]]], "uint8")
    >>> cut_masks(mask, np.array([[2.0, 0.0, 4.0, 2.0]]), size=2).tolist()
    [[[1, 1], [1, 0]]]
    """
    cut = np.empty((len(masks), size, size), dtype="uint8")
    for index, (mask, (left, top, right, bottom)) in enumerate(zip(masks, boxes, strict=True)):
        rows, of_rows = _coverage(float(top), float(bottom), size, mask.shape[0])
        columns, of_columns = _coverage(float(left), float(right), size, mask.shape[1])
        covered = of_rows @ mask[rows, columns].astype("float32") @ of_columns.T
        # Half of a cell, tolerating the rounding error of the sum.
        cut[index] = covered > 0.5 - 1e-5
    return cut


def _coverage(start, stop, size, length):
    """Returns the pixels under `size` equal cells from `start` to `stop`, and their share in each.

    Returns:
        A slice of the pixels and a float32 array `(size, pixels)`, whose rows add up to 1.
    """
    first = min(max(int(np.floor(start)), 0), length - 1)
    last = max(min(int(np.ceil(stop)), length), first + 1)
    edges = np.linspace(start, stop, size + 1)[:, None]
    pixels = np.arange(first, last)
    ends = np.minimum(edges[1:], pixels + 1)
    overlap = np.clip(ends - np.maximum(edges[:-1], pixels), 0, None)
    return slice(first, last), (overlap * (size / (stop - start))).astype("float32")
