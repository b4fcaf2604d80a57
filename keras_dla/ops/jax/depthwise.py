"""Depthwise 3x3 convolution for JAX on a CPU, where XLA's grouped convolution is slow."""

import jax
import jax.numpy as jnp

from keras_dla.utils.types import Tensor

HALO = ((0, 0), (1, 1), (1, 1), (0, 0))
TAPS = [(i, j) for i in range(3) for j in range(3)]


@jax.custom_vjp
def depthwise_last(x: Tensor, kernel: Tensor) -> Tensor:
    """Convolves `[batch, height, width, channels]` with `[3, 3, channels]`."""
    height, width = x.shape[1:3]
    padded = jnp.pad(x, HALO)
    return sum(padded[:, i : i + height, j : j + width] * kernel[i, j] for i, j in TAPS)


def _forward(x, kernel):
    return depthwise_last(x, kernel), (x, kernel)


def _backward(saved, cotangent):
    x, kernel = saved
    return depthwise_last(cotangent, kernel[::-1, ::-1]), _kernel_gradient(x, cotangent)


def _kernel_gradient(x, cotangent):
    """Sums image by image into maps that stay in the cache; XLA's reductions do not vectorise."""
    batch, height, width, channels = x.shape
    padded = jnp.pad(x, HALO)
    wide = jnp.promote_types(x.dtype, "float32")

    def add_image(n, sums):
        image, gradient = padded[n], cotangent[n].astype(wide)
        return [
            total + image[i : i + height, j : j + width] * gradient
            for total, (i, j) in zip(sums, TAPS, strict=True)
        ]

    zeros = [jnp.zeros((height, width, channels), wide) for _ in TAPS]
    sums = jax.lax.fori_loop(0, batch, add_image, zeros)
    gradient = jnp.stack([total.sum((0, 1)) for total in sums])
    return gradient.reshape(3, 3, channels).astype(x.dtype)


depthwise_last.defvjp(_forward, _backward)


def depthwise_jax(x: Tensor, kernel: Tensor, data_format: str) -> Tensor:
    """The same in either data format."""
    kernel = jnp.asarray(kernel)
    if data_format == "channels_last":
        return depthwise_last(x, kernel)
    return depthwise_last(x.transpose(0, 2, 3, 1), kernel).transpose(0, 3, 1, 2)
