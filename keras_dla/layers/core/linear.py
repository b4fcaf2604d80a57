"""A dense layer without an activation that computes in float64 if its input is float64."""

import keras

from keras_dla.ops.products import matmul
from keras_dla.utils.types import Tensor


class Linear(keras.layers.Dense):
    """`keras.layers.Dense` without an activation: x W + b."""

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        outputs = matmul(inputs, self.kernel)
        return outputs + self.bias if self.use_bias else outputs
