"""1x1 convolution for JAX on a CPU, where XLA's gradient of its kernel is slow."""

import jax.numpy as jnp
from jax import lax

from keras_dla.ops.channels import spatial_axes
from keras_dla.utils.types import Tensor


def conv1x1(x: Tensor, kernel: Tensor, strides: tuple[int, int], data_format: str) -> Tensor:
    """Convolves by a matrix product; `kernel` is `[1, 1, channels, filters]`."""
    kernel = kernel[0, 0]
    # Not by an index: with unknown sizes, JAX cannot tell that they equal a convolution's.
    for axis, stride in zip(spatial_axes(data_format), strides, strict=True):
        x = lax.slice_in_dim(x, 0, x.shape[axis], stride, axis)
    if data_format == "channels_last":
        return jnp.matmul(x, kernel)
    return jnp.einsum("bchw,cd->bdhw", x, kernel)
