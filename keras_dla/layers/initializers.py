"""The initialisers of the authors' networks, which are PyTorch's and He's, not Keras's."""

import math

import keras


def he_normal_fan_out() -> keras.initializers.Initializer:
    """Normal, variance 2 / (kernel area * output channels), not truncated."""
    return keras.initializers.VarianceScaling(
        2.0, mode="fan_out", distribution="untruncated_normal"
    )


def he_normal_depthwise(channels: int) -> keras.initializers.Initializer:
    """The same rule as the authors apply it to a 3x3 depthwise kernel.

    Their fan-out counts all channels, so the deviation is `sqrt(2 / (9 * channels))`.
    """
    return keras.initializers.RandomNormal(stddev=math.sqrt(2.0 / (9 * channels)))


def torch_uniform(fan_in: int) -> keras.initializers.Initializer:
    """PyTorch's default for linear maps, 1-D convolutions and biases: U(+-1/sqrt(fan_in))."""
    limit = 1.0 / math.sqrt(fan_in)
    return keras.initializers.RandomUniform(-limit, limit)
