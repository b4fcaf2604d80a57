"""The largest entries along an axis for TensorFlow, whose exports do not support `argmax`."""

import tensorflow as tf

from keras_dla.utils.types import Tensor


def largest(x: Tensor, axis: int) -> Tensor:
    """See `keras_dla.ops.channels.largest`."""

    @tf.custom_gradient
    def maximum(x):
        def gradient(cotangent):
            length = tf.shape(x)[axis]
            first = tf.one_hot(tf.argmax(x, axis), length, axis=axis, dtype=x.dtype)
            return first * cotangent

        return tf.reduce_max(x, axis, keepdims=True), gradient

    return maximum(tf.convert_to_tensor(x))
