"""Pastes a mask inside its box into a mask of the whole image."""

import numpy as np


def paste_mask(mask: np.ndarray, box: np.ndarray, height: int, width: int) -> np.ndarray:
    """Returns the probability of every pixel of an image to belong to an object.

    The mask's entries are the values at the centres of a regular grid of cells over the box. A
    pixel has the value at its own centre: linear between the cells' centres, falling to zero
    within half a cell beyond the outermost ones. A pixel outside the box has zero.

    Args:
        mask: `[rows, columns]`, probabilities inside the box.
        box: `(x1, y1, x2, y2)` in pixels of the image; it may reach beyond the image.
        height: integer, rows of the image.
        width: integer, columns of the image.

    Returns:
        A float32 array `[height, width]`.

    Example:
    >>> import numpy as np
    >>> from keras_dla.detection.coco.mask_pasting import paste_mask
    >>> (paste_mask(np.ones((28, 28)), (1, 0, 3, 2), height=3, width=4) >= 0.5).astype(int)
    array([[0, 1, 1, 0],
           [0, 1, 1, 0],
           [0, 0, 0, 0]])
    """
    x1, y1, x2, y2 = (float(edge) for edge in box)
    rows, columns = _pixels_inside(y1, y2, height), _pixels_inside(x1, x2, width)
    pasted = np.zeros((height, width), "float32")
    down = _interpolation(rows, y1, y2, len(mask))
    across = _interpolation(columns, x1, x2, len(mask[0]))
    pasted[rows, columns] = down @ mask @ across.T
    return pasted


def _pixels_inside(start, stop, pixels):
    """Returns the slice of pixels whose centres lie between `start` and `stop`."""
    first, last = (int(np.clip(np.ceil(edge - 0.5), 0, pixels)) for edge in (start, stop))
    return slice(first, max(first, last))


def _interpolation(pixels, start, stop, cells):
    """Returns the weight `[pixels, cells]` of every cell in every pixel."""
    if pixels.start == pixels.stop:
        return np.zeros((0, cells))
    centres = np.arange(pixels.start, pixels.stop) + 0.5
    in_cells = (centres - start) / (stop - start) * cells - 0.5
    return np.maximum(0, 1 - np.abs(in_cells[:, None] - np.arange(cells)))
