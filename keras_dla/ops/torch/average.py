"""Global average pooling for PyTorch, with a gradient that is divided before it fills a map."""

from typing import Any

import torch

from keras_dla.ops.torch.hand_written import signed
from keras_dla.ops.torch.layout import channels_first
from keras_dla.utils.types import Tensor


class GlobalAverage(torch.autograd.Function):
    """The mean of each channel, `[batch, channels]`, of channels-first maps."""

    generate_vmap_rule = True

    @staticmethod
    @signed
    def forward(x: Tensor) -> Any:
        return x.mean((2, 3))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Any) -> None:
        ctx.shape = inputs[0].shape

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        height, width = ctx.shape[2:]
        return (gradient / (height * width))[:, :, None, None].expand(ctx.shape)

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Any:
        return tangent.mean((2, 3))


def global_average(x: Tensor, data_format: str) -> Tensor:
    """See `keras_dla.ops.channels.global_average_pool`."""
    x = channels_first(x, data_format)
    return GlobalAverage.apply(x) if torch.is_grad_enabled() else x.mean((2, 3))
