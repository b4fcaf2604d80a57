"""What the recurrent units have in common: a Keras RNN cell over pooled features of layers."""

import keras
from keras import ops

from keras_dla.layers.flops import matrix_flops
from keras_dla.layers.initializers import torch_uniform
from keras_dla.utils.validation import check_positive_integer


class RecurrentUnit(keras.layers.Layer):
    """An RNN cell whose input, states and output all have `units` entries.

    A subclass names its states in `state_names` and defines
    `call(inputs, states) -> (output, new_states)`.
    """

    state_names = ("hidden",)

    def __init__(self, units: int, **kwargs):
        check_positive_integer("units", units)
        super().__init__(**kwargs)
        self.units = int(units)
        self.state_size = [self.units] * len(self.state_names)
        self.output_size = self.units

    def get_initial_state(self, batch_size=None):
        """Returns the states before the first layer, all zero: a list of `[batch, units]`."""
        return [ops.zeros((batch_size, size), self.compute_dtype) for size in self.state_size]

    def compute_output_shape(self, inputs_shape, states_shape=None):
        shape = (*inputs_shape[:-1], self.units)
        return shape, [shape] * len(self.state_size)

    def flops(self, inputs, states):
        return {"unit": matrix_flops(self)}

    def get_config(self):
        return {**super().get_config(), "units": self.units}

    def _check_input(self, input_shape):
        if input_shape[-1] != self.units:
            raise ValueError(
                f"`inputs` must have `units` ({self.units}) channels, "
                f"but has shape {tuple(input_shape)}."
            )


class LinearRecurrentUnit(RecurrentUnit):
    """A unit whose gates are linear maps of input and hidden state, each with a bias of its own."""

    gates = 1

    def build(self, input_shape):
        self._check_input(input_shape)
        outputs = self.gates * self.units
        self.input_kernel = self._weight("input_kernel", (self.units, outputs))
        self.hidden_kernel = self._weight("hidden_kernel", (self.units, outputs))
        self.input_bias = self._weight("input_bias", (outputs,))
        self.hidden_bias = self._weight("hidden_bias", (outputs,))

    def _weight(self, name, shape):
        return self.add_weight(name=name, shape=shape, initializer=torch_uniform(self.units))

    def preactivation(self, y, h):
        """Returns W_y y + b_y + W_h h + b_h."""
        from_input = y @ self.input_kernel.value + self.input_bias.value
        return from_input + h @ self.hidden_kernel.value + self.hidden_bias.value
