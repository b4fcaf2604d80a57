"""Convolution for PyTorch that does not copy channels-last maps, as Keras does."""

import torch

from keras_dla.ops.torch.layout import as_it_was, channels_first
from keras_dla.utils.types import Tensor


def conv2d(
    x: Tensor,
    kernel: Tensor,
    strides: int | tuple[int, int],
    groups: int,
    data_format: str,
    bias: Tensor | None = None,
) -> Tensor:
    """Convolves with zeros of `(size - 1) // 2` around the map.

    Args:
        x: `[batch, height, width, channels]` or channels first.
        kernel: `[height, width, channels // groups, filters]`, odd-sized.
        strides: tuple of two integers.
        groups: integer.
        data_format: `"channels_last"` or `"channels_first"`.
        bias: `[filters]`; defaults to `None`.
    """
    padding = tuple((size - 1) // 2 for size in kernel.shape[:2])
    kernel = kernel.permute(3, 2, 0, 1)
    if x.dtype == torch.float64:
        # On a CPU, the gradient needs the kernel in this layout, at least if it has one filter.
        kernel = kernel.contiguous()
    x = channels_first(x, data_format)
    outputs = torch.nn.functional.conv2d(x, kernel, bias, strides, padding, 1, groups)
    return as_it_was(outputs, data_format)


def depthwise_torch(x: Tensor, kernel: Tensor, data_format: str) -> Tensor:
    """Depthwise convolution with the same padding; `kernel` is `[3, 3, channels]`."""
    if not isinstance(kernel, torch.Tensor):
        kernel = torch.as_tensor(kernel.value if hasattr(kernel, "value") else kernel)
    return conv2d(x, kernel.unsqueeze(2), (1, 1), kernel.shape[-1], data_format)


def convolve_channels_torch(vectors: Tensor, kernels: Tensor) -> Tensor:
    """See `keras_dla.ops.channel_convolution.convolve_channels`."""
    if kernels.ndim == 1:
        return convolve_channels_torch(vectors[:, None], kernels[None])[:, 0]
    padding, layers = (kernels.shape[1] - 1) // 2, vectors.shape[1]
    kernels = kernels[:, None]
    return torch.nn.functional.conv1d(vectors, kernels, None, 1, padding, 1, layers)
