"""Depthwise 3x3 convolution for TensorFlow, whose own kernel is fast where XLA's is slow."""

import tensorflow as tf
from keras import ops
from tensorflow.python.framework import ops as framework_ops
from tensorflow.python.ops import control_flow_util

from keras_dla.utils.types import Tensor

TAPS = [(i, j) for i in range(3) for j in range(3)]


def depthwise_tensorflow(x: Tensor, kernel: Tensor, data_format: str) -> Tensor:
    """TensorFlow's own kernel, or shifted multiply-adds if XLA compiles for a CPU."""
    kernel = tf.convert_to_tensor(kernel)
    if compiles_for_cpu():
        if data_format == "channels_last":
            return depthwise_last(x, kernel)
        return tf.transpose(depthwise_last(tf.transpose(x, (0, 2, 3, 1)), kernel), (0, 3, 1, 2))
    return ops.depthwise_conv(
        x, tf.expand_dims(kernel, -1), padding="same", data_format=data_format
    )


def compiles_for_cpu() -> bool:
    """Returns whether the traced function is compiled by XLA on a machine without a GPU."""
    in_xla = control_flow_util.GraphOrParentsInXlaContext(framework_ops.get_default_graph())
    return in_xla and not tf.config.list_logical_devices("GPU")


@tf.custom_gradient
def depthwise_last(x: Tensor, kernel: Tensor) -> Tensor:
    """Convolves `[batch, height, width, channels]` with `[3, 3, channels]`."""

    def gradient(cotangent):
        return depthwise_last(cotangent, kernel[::-1, ::-1]), kernel_gradient(x, cotangent)

    return shifted_sum(x, kernel), gradient


@tf.custom_gradient
def kernel_gradient(x: Tensor, cotangent: Tensor) -> Tensor:
    """The gradient of the kernel, `[3, 3, channels]`, which is linear in either input too."""

    def gradient(of_kernel):
        turned = of_kernel[::-1, ::-1]
        return depthwise_last(cotangent, turned), depthwise_last(x, of_kernel)

    return summed_by_image(x, cotangent), gradient


def shifted_sum(x: Tensor, kernel: Tensor) -> Tensor:
    """Nine shifted multiply-adds, which XLA fuses into one loop."""
    height, width = ops.shape(x)[1:3]
    padded = pad(x)
    return tf.add_n([padded[:, i : i + height, j : j + width] * kernel[i, j] for i, j in TAPS])


def summed_by_image(x: Tensor, cotangent: Tensor) -> Tensor:
    """Sums image by image into maps that stay in the cache; XLA does not vectorise reductions."""
    batch, height, width = ops.shape(x)[:3]
    padded = pad(x)
    wide = tf.float64 if x.dtype == tf.float64 else tf.float32

    def add_image(n, *sums):
        image, gradient = padded[n], tf.cast(cotangent[n], wide)
        parts = [tf.cast(image[i : i + height, j : j + width], wide) * gradient for i, j in TAPS]
        return n + 1, *(total + part for total, part in zip(sums, parts, strict=True))

    zeros = [tf.zeros(tf.shape(x)[1:], wide) for _ in TAPS]
    _, *sums = tf.while_loop(lambda n, *_: n < batch, add_image, [0, *zeros])
    gradient = tf.stack([tf.reduce_sum(total, axis=(0, 1)) for total in sums])
    return tf.cast(tf.reshape(gradient, (3, 3, x.shape[-1])), x.dtype)


def pad(x: Tensor) -> Tensor:
    """Adds a border of zeros."""
    return tf.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
