"""The two-layer perceptron inside DSU and DIA: channels -> channels/r -> several gates."""

from typing import Any

import keras

from keras_dla.keras_internals.private_names import values_of
from keras_dla.layers.initializers import torch_uniform
from keras_dla.ops.cheap import cast, relu
from keras_dla.ops.linear import linear, linear_of_vector
from keras_dla.utils.types import Nest, Tensor


class GateBottleneck(keras.layers.Layer):
    """Maps `[batch, channels]` to `gates` vectors side by side, `[batch, gates * channels]`."""

    def __init__(self, hidden: int, outputs: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.hidden = hidden
        self.outputs = outputs

    def build(self, input_shape: tuple) -> None:
        channels = input_shape[-1]
        self.reduce_kernel = self._weight("reduce_kernel", (channels, self.hidden), channels)
        self.reduce_bias = self._weight("reduce_bias", (self.hidden,), channels)
        self.expand_kernel = self._weight("expand_kernel", (self.hidden, self.outputs), self.hidden)
        self.expand_bias = self._weight("expand_bias", (self.outputs,), self.hidden)

    def _weight(self, name, shape, fan_in):
        # Cast when they are read, because a unit inside another layer has its own dtype.
        initializer = torch_uniform(fan_in)
        return self.add_weight(name=name, shape=shape, initializer=initializer, autocast=False)

    def call(self, inputs: Tensor) -> Nest:
        return self.gates(inputs)

    def gates(self, inputs: Tensor) -> Tensor:
        """Computes the gates; units call this directly, which saves the cost of a layer call."""
        w1, b1, w2, b2 = self._weights()
        return linear(relu(linear(inputs, w1, b1)), w2, b2)

    def gates_of_zeros(self) -> Tensor:
        """Computes the gates of a vector of zeros, `[1, gates * channels]`."""
        _, b1, w2, b2 = self._weights()
        return linear_of_vector(relu(b1), w2, b2)

    def _weights(self):
        weights = self.reduce_kernel, self.reduce_bias, self.expand_kernel, self.expand_bias
        dtype = self.compute_dtype
        return [cast(weight, dtype) for weight in values_of(weights)]

    def compute_output_shape(self, input_shape: tuple) -> Any:
        return (*input_shape[:-1], self.outputs)
