"""The base of the recurrent units: a Keras RNN cell over the pooled features of layers."""

from typing import Any

import keras
from keras import ops

from keras_dla.layers.flops import matrix_flops
from keras_dla.layers.initializers import torch_uniform
from keras_dla.ops.cheap import cast
from keras_dla.ops.linear import linear
from keras_dla.utils.types import Nest, Tensor
from keras_dla.utils.validation import check_positive_integer


class RecurrentUnit(keras.layers.Layer):
    """An RNN cell whose input, states and output all have `units` entries.

    A subclass names its states in `state_names` and defines a step in three parts: what depends on
    the input alone (`read`), what depends on the states alone (`recall`), and the combination of
    both (`step`). The same states can then be combined with many inputs, which are read at once.

    Args:
        units: integer, the number of channels of inputs, states and output.

    Raises:
        ValueError: when `units` is not positive.
    """

    state_names: tuple[str, ...] = ("hidden",)
    gates = 1

    @property
    def recalled_size(self) -> int:
        """How many numbers `recall` returns per image."""
        return self.gates * self.units

    def __init__(self, units: int, **kwargs: Any) -> None:
        check_positive_integer("units", units)
        super().__init__(**kwargs)
        self.units = int(units)
        self.state_size = [self.units] * len(self.state_names)
        self.output_size = self.units

    def call(self, inputs: Tensor, states: list) -> tuple[Tensor, list]:
        return self.step(self.read(inputs), self.recall(states), states)

    def read(self, inputs: Tensor) -> Tensor:
        """Returns the part of a step that depends on its input `[..., units]` alone."""
        raise NotImplementedError

    def recall(self, states: list) -> Tensor:
        """Returns the part of a step that depends on its states alone, without their gating."""
        raise NotImplementedError

    def step(self, read: Tensor, recalled: Tensor, states: list) -> tuple[Tensor, list]:
        """Returns the output and the new states.

        Args:
            read: tensor, what `read` returned.
            recalled: tensor, what `recall` returned for `states`.
            states: list of tensors `[..., units]`; of `None` for zeros.
        """
        raise NotImplementedError

    def first_step(self, read: Tensor) -> tuple[Tensor, list]:
        """Returns the output and the new states of the step from the initial states.

        Args:
            read: tensor `[batch, ...]`, what `read` returned.
        """
        states = self.get_initial_state(ops.shape(read)[0])
        return self.step(read, self.recall(states), states)

    def cast(self, weight: keras.Variable) -> Tensor:
        """Returns a weight in the dtype in which the unit computes, wherever it is called."""
        return cast(weight.value, self.compute_dtype)

    def get_initial_state(self, batch_size: Any = None) -> list:
        """Returns the states before the first layer, all zero: a list of `[batch, units]`."""
        zeros = ops.zeros((batch_size, self.units), self.compute_dtype)
        return [zeros for _ in self.state_names]

    def compute_output_shape(self, inputs_shape: tuple, states_shape: Any = None) -> Any:
        shape = (*inputs_shape[:-1], self.units)
        return shape, [shape] * len(self.state_size)

    def flops(self, inputs: Tensor, states: Nest) -> dict[str, int]:
        return {"unit": matrix_flops(self)}

    def get_config(self) -> dict:
        return {**super().get_config(), "units": self.units}

    def _check_input(self, input_shape):
        if input_shape[-1] != self.units:
            raise ValueError(
                f"`inputs` must have `units` ({self.units}) channels, "
                f"but has shape {tuple(input_shape)}."
            )


class LinearRecurrentUnit(RecurrentUnit):
    """A unit whose gates are linear maps of input and hidden state, each with its own bias."""

    def build(self, input_shape: tuple) -> None:
        self._check_input(input_shape)
        outputs = self.gates * self.units
        self.input_kernel = self._weight("input_kernel", (self.units, outputs))
        self.hidden_kernel = self._weight("hidden_kernel", (self.units, outputs))
        self.input_bias = self._weight("input_bias", (outputs,))
        self.hidden_bias = self._weight("hidden_bias", (outputs,))

    def _weight(self, name, shape):
        initializer = torch_uniform(self.units)
        return self.add_weight(name=name, shape=shape, initializer=initializer, autocast=False)

    def read(self, inputs: Tensor) -> Tensor:
        return linear(inputs, self.cast(self.input_kernel), self.cast(self.input_bias))

    def recall(self, states: list) -> Tensor:
        return linear(states[0], self.cast(self.hidden_kernel), self.cast(self.hidden_bias))

    def first_step(self, read: Tensor) -> tuple[Tensor, list]:
        recalled = self.cast(self.hidden_bias)[None]  # of zeros
        return self.step(read, recalled, [None] * len(self.state_names))
