"""Local pooling for JAX, whose exporter must see that unknown sizes fit those of other maps."""

import jax.numpy as jnp
import keras
from jax import lax

from keras_dla.ops.channels import spatial_axes
from keras_dla.utils.types import Tensor


def average_halved(x: Tensor, data_format: str) -> Tensor:
    """See `keras_dla.ops.pooling.average_halved`.

    A convolution with stride 2 returns `(size - 1) // 2 + 1` pixels, and so does this; Keras's own
    returns `-(-size // 2)`, which JAX takes for another size if it is unknown.
    """
    axes = spatial_axes(data_format)
    pixels = jnp.ones([x.shape[axis] if axis in axes else 1 for axis in range(4)], x.dtype)
    return _sums(x, axes) / _sums(pixels, axes)


def _sums(x, axes):
    """Sums windows of 2x2 pixels, with a row and a column of zeros behind the last ones."""
    window = [2 if axis in axes else 1 for axis in range(4)]
    padding = [(0, size - 1) for size in window]
    return lax.reduce_window(x, 0.0, lax.add, window, window, padding)


def max_pool(x: Tensor, size: int, data_format: str) -> Tensor:
    """See `keras_dla.ops.pooling.max_pool`.

    Without what no window covers, JAX can tell that an unknown size does not fall below zero.
    """
    for axis in spatial_axes(data_format):
        x = lax.slice_in_dim(x, 0, x.shape[axis] // size * size, axis=axis)
    return keras.ops.max_pool(x, size, size, data_format=data_format)
