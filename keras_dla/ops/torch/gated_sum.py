"""The new context of an LSTM for PyTorch, with the gates' gradients in one tensor."""

from typing import Any

import torch

from keras_dla.ops.gated_sum import gated_sum_plain
from keras_dla.ops.torch.hand_written import HandWritten
from keras_dla.utils.types import Tensor


class GatedSum(HandWritten):
    """i * g + f * c. PyTorch's own gradients of two halves would have to be joined afterwards."""

    @staticmethod
    def forward(gates: Tensor, candidate: Tensor, context: Tensor) -> Any:
        i, f = gates.chunk(2, -1)
        return torch.addcmul(f * context, i, candidate)

    plain = staticmethod(gated_sum_plain)

    @staticmethod
    def tangent(inputs: Any, tangents: Any) -> Any:
        (gates, candidate, context), (of_gates, of_candidate, of_context) = inputs, tangents
        moved = GatedSum.plain(of_gates, candidate, context)
        return moved + GatedSum.plain(gates, of_candidate, of_context)

    @staticmethod
    def fast_backward(inputs: Any, gradient: Tensor) -> Any:
        gates, candidate, context = inputs
        of_gates = torch.empty_like(gates)
        for half, factor in zip(of_gates.chunk(2, -1), (candidate, context), strict=True):
            torch.mul(gradient, factor, out=half)
        i, f = gates.chunk(2, -1)
        return of_gates, gradient * i, (gradient * f).sum_to_size(context.shape)


def gated_sum(gates: Tensor, candidate: Tensor, context: Tensor) -> Tensor:
    """See `keras_dla.ops.gated_sum.gated_sum`."""
    return GatedSum.run(gates, candidate, context)
