"""The hyperbolic tangent in the dtype of its input."""

import keras
from keras import ops

from keras_dla.utils.types import Tensor


def tanh(x: Tensor) -> Tensor:
    """Returns the hyperbolic tangent, in float64 where `x` is.

    Keras's own computes float64 in float32 on JAX.

    Args:
        x: tensor of floats.
    """
    if keras.backend.backend() != "jax" or isinstance(x, keras.KerasTensor):
        return ops.tanh(x)
    import jax

    return jax.numpy.tanh(x)
