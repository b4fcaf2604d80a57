"""Global average pooling for PyTorch, with a gradient that is divided before it fills a map."""

from typing import Any

import torch

from keras_dla.ops.torch.hand_written import signed
from keras_dla.ops.torch.layout import as_it_was, channels_first
from keras_dla.utils.types import Tensor


class AverageAndMap(torch.autograd.Function):
    """The mean of each channel, and the map again.

    What reads the map from here adds its gradient to that of the mean, in one operation.
    """

    generate_vmap_rule = True

    @staticmethod
    @signed
    def forward(x: Tensor) -> Any:
        return x.mean((2, 3)), x.view_as(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Any) -> None:
        ctx.set_materialize_grads(False)
        ctx.shape = inputs[0].shape

    @staticmethod
    def backward(ctx: Any, of_mean: Tensor, of_map: Tensor) -> Any:
        if of_mean is None:
            return of_map
        height, width = ctx.shape[2:]
        if of_map is None:
            return (of_mean / (height * width))[:, :, None, None].expand(ctx.shape)
        return torch.add(of_map, of_mean[:, :, None, None], alpha=1 / (height * width))

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Any:
        return tangent.mean((2, 3)), tangent.view_as(tangent)


def average_and_map(x: Tensor, data_format: str) -> tuple[Tensor, Tensor]:
    """See `keras_dla.ops.channels.average_and_map`."""
    if not torch.is_grad_enabled():
        return channels_first(x, data_format).mean((2, 3)), x
    mean, x = AverageAndMap.apply(channels_first(x, data_format))
    return mean, as_it_was(x, data_format)
