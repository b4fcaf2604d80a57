"""Convolution along the channels of pooled features."""

import math

import keras
from keras import ops

from keras_dla.utils.types import Tensor


def adaptive_kernel_size(channels: int) -> int:
    """Returns ECA's kernel size: t = |(log2(channels) + 1) / 2| rounded down, then made odd.

    Example:
    >>> from keras_dla.ops.channel_convolution import adaptive_kernel_size
    >>> [adaptive_kernel_size(channels) for channels in (64, 128, 256, 2048)]
    [3, 5, 5, 7]
    """
    t = int(abs((math.log2(channels) + 1) / 2))
    return t if t % 2 else t + 1


def convolve_channels(vectors: Tensor, kernels: Tensor) -> Tensor:
    """Convolves along the channels, zero-padded, with the kernels of one layer or of several.

    Args:
        vectors: tensor `[batch, channels]` with one kernel, else `[batch, layers, channels]`.
        kernels: tensor `[size]`, or `[layers, size]`, a kernel for each layer; where `vectors` has
            one layer, it meets all of them.
    """
    if keras.backend.backend() == "torch":
        from keras_dla.ops.torch.convolution import convolve_channels_torch

        return convolve_channels_torch(vectors, ops.convert_to_tensor(kernels))
    return convolve_channels_plain(vectors, kernels)


def convolve_channels_plain(vectors: Tensor, kernels: Tensor) -> Tensor:
    """The same as shifted multiply-adds."""
    size = kernels.shape[-1]
    channels = vectors.shape[-1]
    half = (size - 1) // 2
    zeros = ops.zeros_like(vectors[..., :half])
    padded = ops.concatenate([zeros, vectors, zeros], axis=-1)
    first, *others = (
        padded[..., shift : shift + channels] * kernels[..., shift : shift + 1]
        for shift in range(size)
    )
    return sum(others, start=first)
