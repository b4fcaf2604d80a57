"""The hyperbolic tangent in the dtype of its input."""

import keras
from keras import ops

from keras_dla.utils.types import Tensor


def tanh(x: Tensor) -> Tensor:
    """Returns the hyperbolic tangent, in float64 if `x` is float64.

    On JAX, Keras's own computes float64 inputs in float32.

    Args:
        x: tensor of floats.
    """
    if keras.backend.backend() == "tensorflow" or isinstance(x, keras.KerasTensor):
        return ops.tanh(x)
    if keras.backend.backend() == "torch":
        return x.tanh()  # without Keras's overhead
    import jax

    return jax.numpy.tanh(x)
