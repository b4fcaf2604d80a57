"""Depthwise 3x3 convolution for JAX on a CPU, where XLA's grouped convolution is slow.

The convolution and the gradient of its kernel are linear in each of their two inputs, and the
gradients of each can be written in terms of the other. JAX is told so, and derives every derivative
from them.
"""

import jax
import jax.numpy as jnp
from jax.interpreters import ad, batching, mlir

from keras_dla.utils.types import Tensor

try:
    from jax.extend.core import Primitive
except ImportError:  # before JAX 0.4.36
    from jax.core import Primitive

HALO = ((0, 0), (1, 1), (1, 1), (0, 0))
TAPS = [(i, j) for i in range(3) for j in range(3)]


def _convolved(x, kernel):
    """Nine shifted multiply-adds, which XLA fuses into one loop."""
    height, width = x.shape[1:3]
    padded = jnp.pad(x, HALO)
    return sum(padded[:, i : i + height, j : j + width] * kernel[i, j] for i, j in TAPS)


def _correlated(x, cotangent):
    """Sums image by image into maps that stay in the cache; XLA does not vectorise reductions."""
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


def _bilinear(name, function, shape):
    """Returns a primitive that computes `function` and can be mapped over further axes.

    Args:
        name: string.
        function: function of two arrays of one dtype.
        shape: function of their shapes that returns the result's shape.
    """
    primitive = Primitive(name)
    primitive.def_impl(jax.jit(function))
    primitive.def_abstract_eval(lambda x, y: type(x)(shape(x.shape, y.shape), x.dtype))
    mlir.register_lowering(primitive, mlir.lower_fun(function, multiple_results=False))

    def mapped(inputs, axes):
        return jax.vmap(function, axes)(*inputs), 0

    batching.primitive_batchers[primitive] = mapped
    return primitive


_convolution = _bilinear("depthwise_conv3x3", _convolved, lambda x, kernel: x)
_of_kernel = _bilinear("depthwise_conv3x3_of_kernel", _correlated, lambda x, _: (3, 3, x[-1]))


def depthwise_last(x: Tensor, kernel: Tensor) -> Tensor:
    """Convolves `[batch, height, width, channels]` with `[3, 3, channels]`, of one dtype."""
    return _convolution.bind(x, kernel)


def kernel_gradient(x: Tensor, cotangent: Tensor) -> Tensor:
    """The gradient of the kernel, `[3, 3, channels]`, for a cotangent of the output."""
    return _of_kernel.bind(x, cotangent)


def _turned(kernel):
    return kernel[::-1, ::-1]


ad.defbilinear(
    _convolution,
    lambda cotangent, x, kernel: depthwise_last(cotangent, _turned(kernel)),
    lambda cotangent, x, kernel: kernel_gradient(x, cotangent),
)
ad.defbilinear(
    _of_kernel,
    lambda of_kernel, x, cotangent: depthwise_last(cotangent, _turned(of_kernel)),
    lambda of_kernel, x, cotangent: depthwise_last(x, of_kernel),
)


def depthwise_jax(x: Tensor, kernel: Tensor, data_format: str) -> Tensor:
    """The same convolution in either data format."""
    kernel = jnp.asarray(kernel, x.dtype)
    if data_format == "channels_last":
        return depthwise_last(x, kernel)
    return depthwise_last(x.transpose(0, 2, 3, 1), kernel).transpose(0, 3, 1, 2)
