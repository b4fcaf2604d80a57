"""The unit of DIANet (Huang et al., 2020), compared with the DSU in Tables 4 and 6."""

from typing import Any

import keras

from keras_dla.layers.units.gate_bottleneck import GateBottleneck
from keras_dla.layers.units.recurrent_unit import RecurrentUnit
from keras_dla.ops.cheap import sigmoid, split_at
from keras_dla.ops.gated_context import gated_context
from keras_dla.utils.types import Tensor
from keras_dla.utils.validation import check_positive_integer, check_reduction


@keras.saving.register_keras_serializable(package="keras_dla")
class DIAUnit(RecurrentUnit):
    """A light LSTM with bottlenecks instead of linear maps, and a sigmoid instead of the last tanh.

    Args:
        units: integer, the number of channels of inputs, states and output.
        reduction: integer, the bottlenecks have `units // reduction` channels; defaults to `4`.

    Call arguments:
        inputs: tensor `[batch, units]`, pooled features of a layer.
        states: list `[h, c]` of tensors `[batch, units]`.

    Returns:
        The output h `[batch, units]`, and the list of new states.

    Raises:
        ValueError: if `units` or `reduction` is not positive, or `reduction` exceeds `units`.

    Example:
    >>> import numpy as np
    >>> from keras_dla.layers import DIAUnit
    >>> unit = DIAUnit(64, reduction=4)
    >>> output, states = unit(np.ones((2, 64), "float32"), unit.get_initial_state(batch_size=2))
    >>> tuple(output.shape), unit.count_params()
    ((2, 64), 10784)
    """

    state_names = ("hidden", "cell")
    gates = 4

    def __init__(self, units: int, reduction: int = 4, **kwargs: Any):
        check_positive_integer("units", units)
        check_positive_integer("reduction", reduction)
        check_reduction(reduction, units)
        super().__init__(units, **kwargs)
        self.reduction = int(reduction)
        hidden = self.units // self.reduction
        sizes = {"hidden": hidden, "outputs": 4 * self.units, "dtype": self.dtype_policy}
        self.input_gates = GateBottleneck(name="input_gates", **sizes)
        self.hidden_gates = GateBottleneck(name="hidden_gates", **sizes)

    def build(self, input_shape: tuple) -> None:
        self._check_input(input_shape)
        self.input_gates.build((None, self.units))
        self.hidden_gates.build((None, self.units))

    def read(self, inputs: Tensor) -> Tensor:
        return self.input_gates.gates(inputs)

    def recall(self, states: list) -> Tensor:
        return self.hidden_gates.gates(states[0])

    def first_step(self, read: Tensor) -> tuple[Tensor, list]:
        return self.step(read, self.hidden_gates.gates_of_zeros(), [None, None])

    def step(self, read: Tensor, recalled: Tensor, states: list) -> tuple[Tensor, list]:
        gates, o = split_at(read + recalled, 3 * self.units, axis=-1)
        c = gated_context(gates, states[1])
        h = sigmoid(o) * sigmoid(c)
        return h, [h, c]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "reduction": self.reduction}
