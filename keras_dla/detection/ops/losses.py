"""Element-wise losses of the detectors, in float32."""

from keras import ops

from keras_dla.utils.types import Tensor


def binary_cross_entropy(targets: Tensor, logits: Tensor) -> Tensor:
    """Returns -(t log p + (1 - t) log(1 - p)) with p = sigmoid(logits), entry by entry."""
    return ops.maximum(logits, 0.0) - logits * targets + ops.softplus(-ops.abs(logits))


def absolute_error(targets: Tensor, deltas: Tensor) -> Tensor:
    """Returns the L1 distance of the four numbers of each box, `[...]` from `[..., 4]`."""
    return ops.sum(ops.abs(ops.stop_gradient(targets) - deltas), axis=-1)


def gather_targets(values: Tensor, matches: Tensor) -> Tensor:
    """Returns the entry of `values` to which each box was matched; any entry if there is none.

    Args:
        values: `[batch, G, ...]`.
        matches: int32 `[batch, N]`, indices into G, negative where there is no match.
    """
    indices = ops.maximum(matches, 0)
    indices = ops.reshape(indices, (*ops.shape(indices), *[1] * (len(values.shape) - 2)))
    return ops.take_along_axis(values, indices, axis=1)
