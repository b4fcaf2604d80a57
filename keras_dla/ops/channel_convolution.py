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
    """Convolves zero-padded vectors along the channels with the kernels of one or several layers.

    Args:
        vectors: tensor `[batch, channels]` for one kernel, else `[batch, layers, channels]`.
        kernels: tensor `[size]`, or `[layers, size]`, one kernel per layer; if `vectors` has only
            one layer, it is convolved with each of them.
    """
    if keras.backend.backend() == "torch":
        kernels = kernels.value if isinstance(kernels, keras.Variable) else kernels
        return convolution.convolve_channels_torch(vectors, kernels)
    return convolve_channels_plain(vectors, kernels)


def convolve_channels_plain(vectors: Tensor, kernels: Tensor) -> Tensor:
    """The same convolution as shifted multiply-adds."""
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


# Last, because some of these read what is above; an import inside a function takes as long as a
# small operation.
if keras.backend.backend() == "torch":
    from keras_dla.ops.torch import convolution
