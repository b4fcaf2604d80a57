"""Softmax over axes of unknown length."""

import keras
from keras import ops

from keras_dla.utils.types import Tensor


def softmax(logits: Tensor, axis: int | tuple[int, int]) -> Tensor:
    """Softmax over one axis or several.

    Keras's own softmax warns if the axis has one entry, at which PyTorch's compiler breaks the
    graph, and needs to know its length on TensorFlow.
    """
    if keras.backend.backend() == "torch" and isinstance(axis, int):
        import torch

        return torch.softmax(logits, axis)
    if keras.backend.backend() == "tensorflow" and axis == -1:
        import tensorflow as tf

        return tf.nn.softmax(logits)
    if keras.backend.backend() == "jax":
        import jax

        # Its maximum may be over no entry: so is one over an unknown number, when JAX exports.
        return jax.nn.softmax(logits, axis)
    # The largest logit cancels, so it has no gradient. Automatic differentiation would give it one,
    # which is 0 / 0 when XLA computes the logits a second time with different rounding.
    largest = ops.stop_gradient(ops.amax(logits, axis=axis, keepdims=True))
    exponentials = ops.exp(logits - largest)
    return exponentials / ops.sum(exponentials, axis=axis, keepdims=True)
