"""Dense layers that compute float64 in float64 on every backend."""

from typing import Any

import keras

from keras_dla.ops.products import matmul
from keras_dla.utils.types import Tensor


@keras.saving.register_keras_serializable(package="keras_dla")
class Linear(keras.layers.Dense):
    """`keras.layers.Dense`, which itself multiplies float64 in float32 on PyTorch and JAX."""

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        outputs = matmul(inputs, self.kernel)
        if self.use_bias:
            outputs = outputs + self.bias
        return outputs if self.activation is None else self.activation(outputs)


def dense(units: int, **options: Any) -> keras.layers.Dense:
    """Returns Keras's own dense layer, which can be quantised, and in float64 a `Linear`.

    Args:
        units: integer, the number of outputs.
        **options: the further arguments of `keras.layers.Dense`.
    """
    policy = keras.dtype_policies.get(options.get("dtype") or keras.config.dtype_policy())
    return (Linear if policy.compute_dtype == "float64" else keras.layers.Dense)(units, **options)
