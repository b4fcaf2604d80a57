"""A convolution with the BN behind it, for PyTorch where no gradient is needed."""

from typing import Any

import torch

from keras_dla.ops.torch.layout import as_it_was, channels_first
from keras_dla.utils.types import Tensor


def conv_norm(
    x: Tensor,
    kernel: Tensor,
    strides: tuple[int, int],
    norm: tuple[Tensor, Tensor] | None,
    other: Tensor | None,
    rectified: bool,
    data_format: str,
) -> Any:
    """Returns the convolution of x, normalised, + `other`, rectified, in a map of its own.

    In inference BN is a multiply-add per channel: the kernel takes its factors, and the
    convolution adds the rest as a bias.

    Args:
        x: `[batch, height, width, channels]` or channels first.
        kernel: `[height, width, channels, filters]`, odd-sized.
        strides: tuple of two integers.
        norm: two tensors `[filters]`, by which the map is multiplied and which are added; or
            `None`.
        other: a map that is added, or `None`.
        rectified: boolean, whether a ReLU comes last.
        data_format: `"channels_last"` or `"channels_first"`.
    """
    scale, bias = norm or (None, None)
    kernel = kernel if scale is None else kernel * scale
    padding = tuple((size - 1) // 2 for size in kernel.shape[:2])
    x = channels_first(x, data_format)
    outputs = torch.conv2d(x, kernel.permute(3, 2, 0, 1), bias, strides, padding)
    if other is not None:
        outputs.add_(channels_first(other, data_format))
    return as_it_was(outputs.relu_() if rectified else outputs, data_format)


def multiply_add(
    mean: Tensor, variance: Tensor, gamma: Tensor | None, beta: Tensor | None, epsilon: float
) -> Any:
    """Returns what BN multiplies by in inference, and what it adds: tensors `[channels]`."""
    scale = (variance + epsilon).rsqrt_()
    if gamma is not None:
        scale.mul_(gamma)
    if beta is None:
        return scale, -mean * scale
    return scale, torch.addcmul(beta, mean, scale, value=-1)
