"""The new context of an LSTM and of similar units."""

import keras

from keras_dla.ops.cheap import sigmoid, split_at
from keras_dla.ops.devices import torch_runs_eagerly
from keras_dla.ops.tanh import tanh
from keras_dla.utils.types import Tensor


def gated_context(gates: Tensor, context: Tensor | None) -> Tensor:
    """Returns sigmoid(f) * c + sigmoid(i) * tanh(g).

    Args:
        gates: tensor `[..., 3 * units]`, i, f and g side by side.
        context: tensor `[..., units]`, c; or `None` for zeros.
    """
    if torch_runs_eagerly():
        return gated_context_torch.gated_context(gates, context)
    return gated_context_plain(gates, context)


def gated_context_plain(gates: Tensor, context: Tensor | None) -> Tensor:
    """The same context in elementary operations."""
    units = gates.shape[-1] // 3
    sigmoids, g = split_at(gates, 2 * units, axis=-1)
    i, f = split_at(sigmoid(sigmoids), units, axis=-1)
    new = i * tanh(g)
    return new if context is None else f * context + new


# Last, because some of these read what is above; an import inside a function takes as long as a
# small operation.
if keras.backend.backend() == "torch":
    from keras_dla.ops.torch import gated_context as gated_context_torch
