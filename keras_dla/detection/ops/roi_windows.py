"""The number of cells of a map that a box reads: the smallest of a few windows that contains it.

Compiling backends need fixed shapes, but boxes differ: most are about square and read few cells,
some are long, and some are as large as the image. One window for all of them would be as large as
the map, so boxes are grouped by the smallest window that contains them.
"""

import math
from collections.abc import Callable, Sequence

import keras
from keras import ops

from keras_dla.ops.devices import torch_runs_eagerly
from keras_dla.utils.types import Tensor

# The number of boxes that are read at once if shapes are fixed.
BLOCK = 64
# Smaller maps are read completely, because grouping would take longer than it saves.
SMALL_MAP = 1200
# The shorter sides of the additional windows of `finer_windows`.
FINER_SIDES = (8, 12, 17, 24)


def exact_windows(
    shapes: Sequence[tuple[int, int]], strides: Sequence[float], finest_scale: float
) -> list[tuple[int, int]]:
    """Returns windows, the smallest first; any box of a feature pyramid fits into one of them.

    A box of any level but the last has an area of less than `side` squared in cells, so the longer
    it is, the narrower. A box of the last level may be as large as the map.

    Args:
        shapes: list of pairs of integers, height and width of each map in cells, finest first.
        strides: list of numbers, pixels per cell of each map.
        finest_scale: number, half the size in pixels from which a box belongs to the second level.

    Returns:
        A list of pairs of integers, the cells along a box's longer and shorter side.

    Example:
    >>> from keras_dla.detection.ops.roi_windows import exact_windows
    >>> exact_windows([(200, 336), (100, 168), (50, 84), (25, 42)], (4, 8, 16, 32), 56)
    [(32, 32), (44, 27), (62, 31), (338, 17)]
    """
    longest, shortest = max(map(max, shapes)) + 2, max(map(min, shapes)) + 2
    last = max(shapes[-1]) + 2, min(shapes[-1]) + 2
    if len(shapes) == 1:
        return [last]
    if longest * shortest <= SMALL_MAP:
        return [(longest, shortest)]
    levels = range(len(shapes) - 1)
    side = max(2 * finest_scale * 2**level / strides[level] for level in levels)
    # A side of n cells reads at most n + 2 rows, and one more because of rounding.
    square = math.ceil(side) + 4
    double = 2 * square - 2
    windows = [
        (square, square),
        last,
        (double, math.ceil(side**2 / (square - 4)) + 3),
        (longest, math.ceil(side**2 / (double - 4)) + 3),
    ]
    # No box reads more cells than the map has.
    windows = [(min(long, longest), min(short, longest)) for long, short in windows]
    windows = [(long, min(short, max(shortest, last[1]))) for long, short in windows]
    windows.sort(key=math.prod)
    return [
        window
        for place, window in enumerate(windows)
        if not any(_holds(smaller, window) for smaller in windows[:place])
    ]


def finer_windows(windows: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Returns the windows with smaller ones before them, square and twice as long as wide.

    Where a group may have any number of boxes, another group costs little, and a box of 7 x 7 cells
    need not read the 32 x 32 of a larger one.

    Args:
        windows: list of pairs of integers, the cells along a longer and a shorter side; the last is
            the largest.

    Example:
    >>> from keras_dla.detection.ops.roi_windows import finer_windows
    >>> finer_windows([(16, 16), (20, 15)])
    [(8, 8), (16, 8), (12, 12), (16, 16), (17, 17), (20, 15)]
    """
    long, short = windows[-1]
    squares = [(side, side) for side in FINER_SIDES]
    smaller = [*squares, *((2 * side, side) for side in FINER_SIDES)]
    fitting = [w for w in smaller if w[0] < long and math.prod(w) < long * short]
    return [*sorted({*fitting, *windows[:-1]}, key=math.prod), windows[-1]]


def _holds(window, other):
    return window[0] >= other[0] and window[1] >= other[1]


def crop_by_window(
    crop: Callable[..., Tensor],
    windows: Sequence[tuple[int, int]],
    needed: Tensor,
    parts: Sequence[Tensor],
) -> Tensor:
    """Returns `crop(window, *parts)` of every box, with the smallest window that contains the box.

    Args:
        crop: function of a window and of the parts of some boxes that returns `[boxes, ...]`.
        windows: list of pairs of integers, the cells along a longer and a shorter side.
        needed: int32 tensor, `[boxes, 2]`, the cells that each box needs along both sides. The last
            window contains all boxes that no other does.
        parts: list of tensors, `[boxes, ...]`.
    """
    if torch_runs_eagerly():
        windows = finer_windows(windows)
    if len(windows) == 1:
        return crop(windows[0], *parts)
    number = _least_window(windows, needed)
    if keras.backend.backend() == "torch":
        return _crop_groups(crop, windows, number, parts)
    return _crop_blocks(crop, windows, number, parts)


def _least_window(windows, needed):
    number = ops.full_like(needed[:, 0], len(windows) - 1)
    for place in range(len(windows) - 2, -1, -1):
        held = ops.all(needed <= ops.convert_to_tensor(windows[place], needed.dtype), axis=-1)
        number = ops.where(held, place, number)
    return number


def _crop_groups(crop, windows, number, parts):
    """The same for backends on which the number of boxes of a group need not be known."""
    places = [ops.nonzero(number == place)[0] for place in range(len(windows))]
    crops = [
        crop(window, *(ops.take(part, place, axis=0) for part in parts))
        for window, place in zip(windows, places, strict=True)
        if place.shape[0]
    ]
    places = [place for place in places if place.shape[0]]
    if not crops:
        return crop(windows[0], *parts)
    if len(crops) == 1:
        return crops[0]
    return ops.take(ops.concatenate(crops), ops.argsort(ops.concatenate(places)), axis=0)


def _crop_blocks(crop, windows, number, parts):
    """The same in fixed shape: blocks of boxes with one window each, some of them empty."""
    kinds = len(windows)
    boxes = ops.shape(number)[0]
    blocks = boxes // BLOCK + kinds
    is_kind = ops.one_hot(number, kinds, dtype="int32")
    filled = (ops.sum(is_kind, axis=0) + BLOCK - 1) // BLOCK
    ends = ops.cumsum(filled)
    rank = ops.sum(is_kind * (ops.cumsum(is_kind, axis=0) - 1), axis=1)
    seat = ops.take(ends - filled, number) * BLOCK + rank
    # An empty place reads the first box, and its result is not used.
    sitting = ops.scatter_update(
        ops.zeros((blocks * BLOCK,), "int32"), seat[:, None], ops.arange(boxes, dtype="int32")
    )
    of_block = ops.sum(ops.cast(ops.arange(blocks, dtype="int32")[:, None] >= ends, "int32"), 1)
    seated = [
        ops.reshape(ops.take(part, sitting, axis=0), (-1, BLOCK, *part.shape[1:])) for part in parts
    ]

    def read(block):
        branches = [lambda *x, w=window: crop(w, *x) for window in windows]
        # Empty blocks are not computed.
        branches.append(lambda *x: ops.zeros_like(crop((1, 1), *x)))
        return ops.switch(block[0], branches, *block[1:])

    crops = ops.map(read, (of_block, *seated))
    return ops.take(ops.reshape(crops, (-1, *crops.shape[2:])), seat, axis=0)
