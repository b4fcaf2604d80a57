"""The random choices of an epoch, and the crop and flip that apply them.

Every random choice is drawn here with NumPy and depends only on the seed and the epoch. A resumed
run therefore continues exactly where it stopped, and the in-memory and tf.data paths, which both
use this file, produce the same batches.
"""

import functools
from typing import NamedTuple

import numpy as np

PADDING = 4


class EpochDraw(NamedTuple):
    """The random choices of one epoch, one entry per place in the epoch's order.

    Attributes:
        order: int64 array `(size,)`, the image shown at each place.
        tops: int64 array `(size,)`, the first row of its crop, 0 to `2 * PADDING`.
        lefts: int64 array `(size,)`, the first column of its crop, 0 to `2 * PADDING`.
        flips: bool array `(size,)`, whether the crop is mirrored left to right.
    """

    order: np.ndarray
    tops: np.ndarray
    lefts: np.ndarray
    flips: np.ndarray

    def batch(self, index: int, batch_size: int) -> "EpochDraw":
        """Returns the choices for batch `index`; the last batch may be shorter."""
        places = slice(index * batch_size, (index + 1) * batch_size)
        return EpochDraw(*(entry[places] for entry in self))


# A few epochs, because prefetching reads the next one early and several data sets may alternate.
@functools.lru_cache(maxsize=8)
def draw_epoch(size: int, seed: int, epoch: int, shuffle: bool = True) -> EpochDraw:
    """Draws an epoch's order, crops and flips: a pure function of its arguments.

    Args:
        size: integer, the number of images.
        seed: integer, at least 0.
        epoch: integer, at least 0.
        shuffle: boolean, whether to shuffle; otherwise the images keep their order; defaults to
            True.

    Returns:
        An `EpochDraw`, which must not be changed, because calls share it.

    Example:
    >>> draw = draw_epoch(size=5, seed=0, epoch=3)
    >>> sorted(draw.order.tolist())
    [0, 1, 2, 3, 4]
    """
    # One stream for the order and one for the crops, so that `shuffle` does not change the crops.
    ordering, cropping = (
        np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=(epoch, use))))
        for use in (0, 1)
    )
    draw = EpochDraw(
        order=ordering.permutation(size) if shuffle else np.arange(size),
        tops=cropping.integers(0, 2 * PADDING + 1, size),
        lefts=cropping.integers(0, 2 * PADDING + 1, size),
        flips=cropping.random(size) < 0.5,
    )
    for entry in draw:
        entry.flags.writeable = False
    return draw


def crop_and_flip(images: np.ndarray, draw: EpochDraw) -> np.ndarray:
    """Pads a batch with `PADDING` black pixels on every side, then crops and flips it.

    Args:
        images: array `(batch, height, width, channels)` of any dtype.
        draw: `EpochDraw` of this batch; its `order` is not read.

    Returns:
        A new array of the shape and dtype of `images`.

    Example:
    >>> images = np.arange(4).reshape(1, 2, 2, 1)
    >>> centre = np.array([PADDING])
    >>> draw = EpochDraw(np.array([0]), centre, centre, flips=np.array([True]))
    >>> crop_and_flip(images, draw)[0, :, :, 0].tolist()
    [[1, 0], [3, 2]]
    """
    batch, height, width, channels = images.shape
    padded = np.zeros(
        (batch, height + 2 * PADDING, width + 2 * PADDING, channels), dtype=images.dtype
    )
    padded[:, PADDING : PADDING + height, PADDING : PADDING + width] = images
    # Every possible crop as a view, without a copy: (batch, tops, lefts, height, width, channels).
    windows = np.lib.stride_tricks.as_strided(
        padded,
        (batch, 2 * PADDING + 1, 2 * PADDING + 1, height, width, channels),
        padded.strides[:3] + padded.strides[1:],
        writeable=False,
    )
    crops = windows[np.arange(batch), draw.tops, draw.lefts]
    crops[draw.flips] = crops[draw.flips, :, ::-1]
    return crops
