"""The steps of any RNN cell, in the three parts that layer attention uses."""

import keras
from keras import ops

from keras_dla.layers.units.recurrent_unit import RecurrentUnit
from keras_dla.ops.cheap import cast, reshape
from keras_dla.utils.types import Tensor


class UnitSteps:
    """The steps of one of this package's units, which defines the three parts itself.

    Args:
        unit: the unit.
    """

    def __init__(self, unit: keras.layers.Layer) -> None:
        self.unit = unit

    @property
    def recalled_size(self) -> int:
        """How many numbers `recall` returns per image."""
        return self.unit.recalled_size

    def read(self, inputs: Tensor) -> Tensor:
        return self.unit.read(cast(inputs, self.unit.compute_dtype))

    def recall(self, states: list) -> Tensor:
        return self.unit.recall(states)

    def step(self, read: Tensor, recalled: Tensor, states: list) -> tuple[Tensor, list]:
        output, states = self.unit.step(read, recalled, states)
        return cast(output, self.unit.variable_dtype), states

    def first_states(self, read: Tensor) -> list:
        """Returns the states after the first step."""
        _, states = self.unit.first_step(read)
        return states


class CellSteps(UnitSteps):
    """The steps of another Keras RNN cell: whole steps only, with one input per image."""

    @property
    def recalled_size(self) -> int:
        size = self.unit.state_size
        return size if isinstance(size, int) else size[0]

    def read(self, inputs: Tensor) -> Tensor:
        return inputs

    def first_states(self, read: Tensor) -> list:
        _, states = self._step(read, self.unit.get_initial_state(ops.shape(read)[0]))
        return states

    def recall(self, states: list) -> Tensor:
        """Returns the first state: such a cell has no part that depends on its states alone."""
        return states[0]

    def step(self, read: Tensor, recalled: Tensor, states: list) -> tuple[Tensor, list]:
        if len(read.shape) == 2:
            return self._step(read, states)
        layers, channels = read.shape[1:]
        shape = (ops.shape(read)[0], layers)
        rows = [
            reshape(ops.broadcast_to(s, (*shape, s.shape[-1])), (-1, s.shape[-1])) for s in states
        ]
        output, states = self._step(reshape(read, (-1, channels)), rows)
        return reshape(output, (-1, layers, channels)), states

    def _step(self, read, states):
        output, states = self.unit(read, states)
        return cast(output, self.unit.variable_dtype), states


def steps_of(unit: keras.layers.Layer) -> UnitSteps:
    """Returns the steps of a unit of this package or of another RNN cell."""
    return UnitSteps(unit) if isinstance(unit, RecurrentUnit) else CellSteps(unit)
