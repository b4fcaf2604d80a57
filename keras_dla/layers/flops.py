"""Multiply-adds of the parts of layers, for the layers' `flops` methods.

A layer may define `flops`: it takes the arguments of `call` without `training` and `mask`, with a
`keras.KerasTensor` of known size for every tensor, and returns a dictionary from the layer's parts
to their multiply-adds per image. `keras_dla.analysis.complexity` calls it once for every call of
the layer.

A kernel costs its number of entries each time it is applied: a convolution at every position of its
output, a linear map once. Likewise, attention costs its sums of products. Operations that touch
every entry once are left out: normalisation, activation, pooling, addition, gating a map.
"""

import math

import keras

from keras_dla.ops.channels import spatial_axes
from keras_dla.utils.types import Tensor


def entries(x: Tensor) -> int:
    """Returns the number of entries of `x` per image."""
    return math.prod(x.shape[1:])


def positions(x: Tensor, data_format: str) -> int:
    """Returns the height times the width of a batch of feature maps."""
    return math.prod(x.shape[axis] for axis in spatial_axes(data_format))


def kernel_flops(*kernels: Tensor, times: int = 1) -> int:
    """Returns the cost of applying each of `kernels` at `times` places."""
    return times * sum(math.prod(kernel.shape) for kernel in kernels)


def matrix_flops(layer: keras.layers.Layer) -> int:
    """Returns the cost of a layer that multiplies a vector once with each of its matrices."""
    # A GRU's two biases form a matrix too.
    matrices = [w for w in layer.weights if len(w.shape) == 2 and "bias" not in w.name]
    return kernel_flops(*matrices)
