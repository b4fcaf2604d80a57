"""The new context of an LSTM for PyTorch, with the gradients of all gates in one tensor."""

from typing import Any

import torch

from keras_dla.ops.devices import torch_only_infers
from keras_dla.ops.gated_context import gated_context_plain
from keras_dla.ops.torch.hand_written import HandWritten
from keras_dla.utils.types import Tensor


class GatedContext(HandWritten):
    """The new context, and the activated gates, which it keeps for the backward pass.

    PyTorch's own gradients of parts of the gates would have to be joined afterwards.
    """

    kept_outputs = 1

    @staticmethod
    def forward(gates: Tensor, context: Tensor | None) -> Any:
        activated = torch.empty_like(gates)
        for activate, part, result in zip(
            (torch.sigmoid, torch.tanh), _parts(gates), _parts(activated), strict=True
        ):
            activate(part, out=result)
        return _new_context(activated.chunk(3, -1), context), activated

    @staticmethod
    def plain(gates: Tensor, context: Tensor | None) -> Any:
        sigmoids, g = _parts(gates)
        activated = torch.cat([sigmoids.sigmoid(), g.tanh()], -1)
        return gated_context_plain(gates, context), activated

    @staticmethod
    def tangent(inputs: Any, tangents: Any) -> Any:
        (gates, context), (of_gates, of_context) = inputs, tangents
        (sigmoids, g), (of_sigmoids, of_g) = _parts(gates), _parts(of_gates)
        (i, f), g = sigmoids.sigmoid().chunk(2, -1), g.tanh()
        of_i, of_f = of_sigmoids.chunk(2, -1)
        moved = i * (1 - i) * of_i * g + i * (1 - g * g) * of_g
        if context is not None:
            moved = moved + f * (1 - f) * of_f * context + f * of_context
        return moved, None

    @staticmethod
    def fast_backward(inputs: Any, gradient: Tensor, *_: Any) -> Any:
        _, context, activated = inputs
        i, f, g = activated.chunk(3, -1)
        of_gates = torch.empty_like(activated)
        of_i, of_f, of_g = of_gates.chunk(3, -1)
        torch.mul(gradient, g, out=of_i)
        torch.mul(gradient, i, out=of_g)
        of_context = None
        if context is None:
            of_f.zero_()
        else:
            torch.mul(gradient, context, out=of_f)
            of_context = (gradient * f).sum_to_size(context.shape)
        of_sigmoids, _ = _parts(of_gates)
        sigmoids, _ = _parts(activated)
        torch.ops.aten.sigmoid_backward.grad_input(of_sigmoids, sigmoids, grad_input=of_sigmoids)
        torch.ops.aten.tanh_backward.grad_input(of_g, g, grad_input=of_g)
        return of_gates, of_context


def _new_context(gates, context):
    i, f, g = gates
    return i * g if context is None else torch.addcmul(f * context, i, g)


def _parts(gates):
    """Returns the gates i and f, which become sigmoids, and g."""
    units = gates.shape[-1] // 3
    return gates.split([2 * units, units], -1)


def gated_context(gates: Tensor, context: Tensor | None) -> Tensor:
    """See `keras_dla.ops.gated_context.gated_context`."""
    if not torch_only_infers():
        return GatedContext.apply(gates, context)[0]
    sigmoids, g = _parts(gates)
    i, f = sigmoids.sigmoid().chunk(2, -1)
    return _new_context((i, f, g.tanh()), context)
