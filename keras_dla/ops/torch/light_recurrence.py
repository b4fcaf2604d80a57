"""The recurrence of Eq. 3 for PyTorch, with few passes through memory and no stored value maps."""

from typing import Any

import torch
from torch.nn.grad import conv2d_weight

from keras_dla.ops.torch.batch_slices import batch_parts
from keras_dla.ops.torch.convolution import depthwise_torch
from keras_dla.ops.torch.hand_written import HandWritten
from keras_dla.ops.torch.layout import as_it_was, channels_first
from keras_dla.utils.types import Tensor


class LightRecurrence(HandWritten):
    """The recurrence on channels-first views; it keeps x and the memory for the backward pass.

    The gradient of the gate does not need the values V: sum(g V) = sum(depthwise^T(g) x).
    """

    @staticmethod
    def forward(
        x: Tensor,
        kernel: Tensor,
        gate: Tensor,
        memory: Tensor,
        decay: Tensor,
        excitation: Tensor,
    ) -> Any:
        parts = batch_parts(x)
        if len(parts) == 1:
            return _recurrence(x, kernel, gate, memory, decay, excitation)
        output = torch.empty_like(x)
        for part in parts:
            own, old = (x[part], kernel, gate[part]), (memory[part], decay[part], excitation)
            _recurrence(*own, *old, out=output[part])
        return output

    @staticmethod
    def plain(x: Tensor, kernel: Tensor, gate: Tensor, *rest: Any) -> Any:
        return _depthwise(x, kernel) * gate + _remembered(*rest)

    @staticmethod
    def tangent(inputs: Any, tangents: Any) -> Any:
        (x, kernel, gate, *rest), (of_x, of_kernel, of_gate, *of_rest) = inputs, tangents
        memory, decay, excitation = rest
        of_memory, of_decay, of_excitation = of_rest
        moved = (_depthwise(of_x, kernel) + _depthwise(x, of_kernel)) * gate
        moved = moved + _depthwise(x, kernel) * of_gate + memory * of_decay
        moved = moved + _remembered(of_memory, decay, excitation)
        return moved if excitation is None else moved + _depthwise(memory, of_excitation)

    @staticmethod
    def fast_backward(inputs: Any, gradient: Tensor) -> Any:
        x, kernel, gate, memory, decay, excitation = inputs
        of_x, of_gate, of_memory, of_decay = map(torch.empty_like, (x, gate, memory, decay))
        of_kernel, of_excitation = [], []
        for part in batch_parts(x):
            own, features, old = gradient[part], x[part], memory[part]
            through = _transposed(own, kernel)
            torch.mul(through, gate[part], out=of_x[part])
            product = through.mul_(features)
            torch.sum(product, (2, 3), keepdim=True, out=of_gate[part])
            torch.mul(own, old, out=product)
            torch.sum(product, (2, 3), keepdim=True, out=of_decay[part])
            torch.mul(own, gate[part], out=product)
            of_kernel.append(_of_kernel(product, features))
            if excitation is None:
                torch.mul(own, decay[part], out=of_memory[part])
            else:
                through, of_part = _depthwise_backward(own, old, excitation)
                torch.addcmul(through, own, decay[part], out=of_memory[part])
                of_excitation.append(of_part)
        return of_x, _total(of_kernel), of_gate, of_memory, of_decay, _total(of_excitation)


def light_recurrence(
    x: Tensor,
    kernel: Tensor,
    gate: Tensor,
    memory: Tensor,
    decay: Tensor,
    excitation: Tensor,
    data_format: str,
) -> Tensor:
    """See `keras_dla.ops.light_recurrence.light_recurrence`."""
    x, memory = (channels_first(feature_map, data_format) for feature_map in (x, memory))
    gate, decay = (scores.view(*scores.shape, 1, 1) for scores in (gate, decay))
    output = LightRecurrence.run(x, kernel, gate, memory, decay, excitation)
    return as_it_was(output, data_format)


def _recurrence(x, kernel, gate, memory, decay, excitation, out=None):
    rest = memory * decay if excitation is None else _depthwise(memory, excitation)
    output = torch.addcmul(rest, _depthwise(x, kernel), gate, out=out)
    return output if excitation is None else output.addcmul_(memory, decay)


def _remembered(memory, decay, excitation):
    old = memory * decay
    return old if excitation is None else old + _depthwise(memory, excitation)


def _depthwise(x, kernel):
    return depthwise_torch(x, kernel, "channels_first")


def _transposed(gradient, kernel):
    """The transposed depthwise convolution, which is one with the kernel rotated by 180 degrees."""
    return _depthwise(gradient, kernel.flip(0, 1))


def _of_kernel(gradient, x):
    """Returns the gradient of a depthwise kernel, `[channels, 1, 3, 3]`."""
    channels = x.shape[1]
    return conv2d_weight(x, (channels, 1, 3, 3), gradient, padding=1, groups=channels)


def _depthwise_backward(gradient, x, kernel):
    """The gradients of a depthwise convolution for x and its kernel, in one operation."""
    kernel = kernel.permute(2, 0, 1).unsqueeze(1)
    return torch.ops.aten.convolution_backward(
        gradient, x, kernel, None, (1, 1), (1, 1), (1, 1), False, (0, 0), x.shape[1],
        (True, True, False),
    )[:2]  # fmt: skip


def _total(parts):
    """Returns the sum of such gradients, `[3, 3, channels]`."""
    if not parts:
        return None
    return sum(parts[1:], start=parts[0]).squeeze(1).permute(1, 2, 0)
