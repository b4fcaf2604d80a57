"""Random samples of positive and background boxes with fixed proportion and shape."""

import keras
from keras import ops

from keras_dla.detection.ops.box_matcher import BACKGROUND, IGNORED
from keras_dla.detection.ops.stable_top_k import stable_top_k
from keras_dla.utils.types import Tensor
from keras_dla.utils.validation import check_positive_integer


def sample_mask(matches: Tensor, count: int, positive_fraction: float, seed: int | None) -> tuple:
    """Draws `count` boxes per image without replacement, as MMDetection's `RandomSampler`.

    At most `count * positive_fraction` boxes, rounded down, are positive, drawn uniformly;
    background boxes, drawn in the same way, fill up the rest as far as there are any.

    Args:
        matches: integer tensor `[B, N]` as `match_boxes` returns it: 0 or more for a positive box,
            -1 for background, -2 for a box that is not drawn.
        count: integer.
        positive_fraction: number from 0 to 1.
        seed: integer, or `keras.random.SeedGenerator` for different numbers at every call.

    Returns:
        Two boolean tensors `[B, N]`: the positive and the background boxes that were drawn.

    Raises:
        ValueError: if `count` is not a positive integer, or `positive_fraction` not from 0 to 1.

    Example:
    >>> import numpy as np
    >>> from keras import ops
    >>> from keras_dla.detection.ops.box_sampler import sample_mask
    >>> positive, negative = sample_mask(np.array([[3, -1, -2, -1, -1]]), 2, 0.5, seed=0)
    >>> ops.convert_to_numpy(positive).tolist(), int(ops.convert_to_numpy(negative).sum())
    ([[True, False, False, False, False]], 1)
    """
    matches = ops.convert_to_tensor(matches)
    indices, drawn, positive = _draw(matches, count, positive_fraction, seed)
    number = matches.shape[1]
    # Boxes that were not drawn are marked in an extra last column that is not read.
    indices = ops.where(drawn, indices, number)
    rows = ops.arange(ops.shape(matches)[0], dtype="int32")[:, None] * (number + 1)
    blank = ops.zeros_like(ops.pad(matches, ((0, 0), (0, 1))), dtype="int32")
    marked = ops.scatter_update(
        ops.reshape(blank, (-1,)),
        ops.reshape(rows + indices, (-1, 1)),
        ops.reshape(ops.where(positive, 1, 2), (-1,)),
    )
    marked = ops.reshape(marked, (-1, number + 1))[:, :number]
    return marked == 1, marked == 2


def sample_boxes(matches: Tensor, count: int, positive_fraction: float, seed: int | None) -> tuple:
    """Draws boxes as `sample_mask` does, and returns their indices, the positive ones first.

    Args:
        matches: integer tensor `[B, N]`, as for `sample_mask`.
        count: integer.
        positive_fraction: number from 0 to 1.
        seed: integer or `keras.random.SeedGenerator`.

    Returns:
        indices: int32 tensor `[B, count]` into N, padded with 0.
        valid: boolean tensor `[B, count]`, false for padding.

    Raises:
        ValueError: if `count` is not a positive integer, or `positive_fraction` not from 0 to 1.

    Example:
    >>> import numpy as np
    >>> from keras import ops
    >>> from keras_dla.detection.ops.box_sampler import sample_boxes
    >>> indices, valid = sample_boxes(np.array([[-1, -2, 3]]), 4, 0.25, seed=0)
    >>> ops.convert_to_numpy(indices).tolist(), ops.convert_to_numpy(valid).tolist()
    ([[2, 0, 0, 0]], [[True, True, False, False]])
    """
    indices, drawn, _ = _draw(ops.convert_to_tensor(matches), count, positive_fraction, seed)
    return ops.where(drawn, indices, 0), drawn


def _draw(matches, count, positive_fraction, seed):
    """Returns `[B, count]` each: indices, whether they were drawn, whether they are positive."""
    check_positive_integer("count", count)
    if not 0 <= positive_fraction <= 1:
        raise ValueError(f"`positive_fraction` must be from 0 to 1, but is {positive_fraction!r}.")
    matches = ops.pad(
        matches, ((0, 0), (0, max(0, count - matches.shape[1]))), constant_values=IGNORED
    )
    # The boxes with the largest random numbers are a uniform draw.
    lots = keras.random.uniform(ops.shape(matches), dtype="float32", seed=seed)
    positives, number = _largest(lots, matches >= 0, count)
    positive_number = ops.minimum(number, int(count * positive_fraction))
    negatives, number = _largest(lots, matches == BACKGROUND, count)
    seats = ops.arange(count, dtype="int32")
    positive = seats < positive_number
    indices = ops.take_along_axis(negatives, ops.maximum(seats - positive_number, 0), axis=1)
    return ops.where(positive, positives, indices), seats < positive_number + number, positive


def _largest(lots, among, count):
    """Returns the indices of the largest random numbers, and how many there are, `[B, 1]`."""
    number = ops.sum(ops.cast(among, "int32"), axis=1, keepdims=True)
    return stable_top_k(ops.where(among, lots, -1.0), count), number
