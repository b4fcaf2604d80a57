"""Convolution along the channels of pooled features."""

import math

from keras import ops


def adaptive_kernel_size(channels: int) -> int:
    """Returns ECA's kernel size: t = |(log2(channels) + 1) / 2| rounded down, then made odd.

    Example:
    >>> from keras_dla.ops.channel_convolution import adaptive_kernel_size
    >>> [adaptive_kernel_size(channels) for channels in (64, 128, 256, 2048)]
    [3, 5, 5, 7]
    """
    t = int(abs((math.log2(channels) + 1) / 2))
    return t if t % 2 else t + 1


def convolve_channels(vectors, kernels):
    """Convolves `[..., channels]` with `[..., size]` along the last axis, zero-padded.

    The leading axes of the two broadcast, so many layers' kernels are applied in one call.
    """
    size = kernels.shape[-1]
    channels = vectors.shape[-1]
    half = (size - 1) // 2
    # Not `ops.pad`, which takes longer than all the rest where PyTorch runs it call by call.
    zeros = ops.zeros_like(vectors[..., :half])
    padded = ops.concatenate([zeros, vectors, zeros], axis=-1)
    first, *others = (
        padded[..., shift : shift + channels] * kernels[..., shift : shift + 1]
        for shift in range(size)
    )
    return sum(others, start=first)
