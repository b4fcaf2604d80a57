"""The new context of an LSTM and of similar units."""

from keras_dla.ops.cheap import split_at
from keras_dla.ops.devices import torch_runs_eagerly
from keras_dla.utils.types import Tensor


def gated_sum(gates: Tensor, candidate: Tensor, context: Tensor) -> Tensor:
    """Returns i * candidate + f * context.

    Args:
        gates: tensor `[..., 2 * units]`, i and f side by side.
        candidate: tensor `[..., units]`.
        context: tensor `[..., units]`.
    """
    if torch_runs_eagerly():
        from keras_dla.ops.torch.gated_sum import gated_sum as gated_sum_torch

        return gated_sum_torch(gates, candidate, context)
    return gated_sum_plain(gates, candidate, context)


def gated_sum_plain(gates: Tensor, candidate: Tensor, context: Tensor) -> Tensor:
    """The same sum in elementary operations."""
    i, f = split_at(gates, candidate.shape[-1], axis=-1)
    return i * candidate + f * context
