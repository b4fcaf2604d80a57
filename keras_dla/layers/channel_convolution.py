"""One-dimensional convolution along the channels: f_q and f_k of Eq. 1, and ECA's only weight."""

import math

import keras
from keras import ops

from keras_dla.layers.initializers import torch_uniform
from keras_dla.layers.straight_call import StraightCall


def adaptive_kernel_size(channels: int) -> int:
    """Returns ECA's kernel size: t = |(log2(channels) + 1) / 2| rounded down, then made odd.

    Example:
    >>> from keras_dla.layers.channel_convolution import adaptive_kernel_size
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


class ChannelConv1D(StraightCall, keras.layers.Layer):
    """Maps pooled features `[batch, channels]` to `[batch, channels]` with one shared kernel."""

    def build(self, input_shape):
        size = adaptive_kernel_size(input_shape[-1])
        # Read by DLA-B too, in mixed precision, where it is to stay in float32.
        self.kernel = self.add_weight(
            name="kernel", shape=(size,), initializer=torch_uniform(size), autocast=False
        )

    def call(self, inputs):
        return convolve_channels(inputs, self.kernel)

    def compute_output_shape(self, input_shape):
        return input_shape
