"""The Dynamic Sharing Unit, Section 3.4 of the paper (Eq. 7-9)."""

from typing import Any

import keras
from keras import ops

from keras_dla.layers.initializers import torch_uniform
from keras_dla.layers.units.gate_bottleneck import GateBottleneck
from keras_dla.layers.units.recurrent_unit import RecurrentUnit
from keras_dla.ops.cheap import relu, sigmoid
from keras_dla.ops.gated_context import gated_context
from keras_dla.ops.linear import linear
from keras_dla.ops.tanh import tanh
from keras_dla.utils.types import Tensor
from keras_dla.utils.validation import (
    FORMULATIONS,
    check_choice,
    check_positive_integer,
    check_reduction,
)

NORMALIZERS = {
    "sigmoid": sigmoid,
    "tanh": tanh,
    "relu": relu,
    "identity": lambda x: x,
}


@keras.saving.register_keras_serializable(package="keras_dla")
class DynamicSharingUnit(RecurrentUnit):
    """The recurrent unit of Dynamic Layer Attention: an LSTM without an output gate.

    It reads the pooled features of one layer, `y`, and carries the context `c` of the stage:

        s = ReLU(W1 [sigmoid(c), y])                                              (Eq. 7)
        g = tanh(W2 s + b_g),  i = sigmoid(W3 s + b_i),  f = sigmoid(W4 s + b_f)  (Eq. 8)
        c <- f * c + i * g                                                        (Eq. 9)

    This is `formulation="paper"`: the output is `c`, and the first `c` is a trainable vector. The
    authors' network (`"official"`) gives `y` and the hidden vector `h` a bottleneck each, with
    biases, and adds the two; its states are `h` and `c`, both zero at first, `h = sigmoid(c)`
    afterwards, and its output is `h`. There the normaliser therefore also affects the output, which
    scales the layers; in the paper's form the output is `c`, whatever the normaliser.

    An object of this class is a Keras RNN cell: call it layer by layer, or pass it to
    `keras.layers.RNN`.

    Args:
        units: integer, the number of channels of inputs, states and output.
        reduction: integer, r of the paper: the bottleneck has `units // reduction` channels. 4 for
            CIFAR, 16 in the authors' ImageNet network, 20 in the paper's; defaults to `4`.
        normalizer: the function that normalises `c` (Table 5): `"sigmoid"`, `"tanh"`, `"relu"` or
            `"identity"`; defaults to `"sigmoid"`.
        formulation: `"official"` or `"paper"`; `"verbatim"` is `"official"` here; defaults to
            `"official"`.

    Call arguments:
        inputs: tensor `[batch, units]`, pooled features of a layer.
        states: list of tensors `[batch, units]`: `[h, c]`, in the paper's formulation `[c]`.

    Returns:
        The output `[batch, units]`, and the list of new states.

    Raises:
        ValueError: if an argument has a value that is not allowed, or if `reduction` exceeds
            `units`.

    Example:
    >>> import numpy as np
    >>> from keras_dla.layers import DynamicSharingUnit
    >>> unit = DynamicSharingUnit(64, reduction=4)
    >>> y = np.ones((2, 64), "float32")
    >>> output, (h, c) = unit(y, unit.get_initial_state(batch_size=2))
    >>> tuple(output.shape), unit.count_params()
    ((2, 64), 8608)
    """

    gates = 3

    @property
    def recalled_size(self) -> int:
        return self._hidden if self.formulation == "paper" else self.gates * self.units

    def __init__(
        self,
        units: int,
        reduction: int = 4,
        normalizer: str = "sigmoid",
        formulation: str = "official",
        **kwargs: Any,
    ):
        check_choice("formulation", formulation, FORMULATIONS)
        check_choice("normalizer", normalizer, tuple(NORMALIZERS))
        check_positive_integer("units", units)
        check_positive_integer("reduction", reduction)
        check_reduction(reduction, units)
        self.state_names = ("context",) if formulation == "paper" else ("hidden", "context")
        super().__init__(units, **kwargs)
        self.reduction = int(reduction)
        self.normalizer = normalizer
        self.formulation = formulation
        self._normalize = NORMALIZERS[normalizer]
        self._hidden = self.units // self.reduction
        if formulation != "paper":
            sizes = {
                "hidden": self._hidden,
                "outputs": 3 * self.units,
                "dtype": self.dtype_policy,
            }
            self.input_gates = GateBottleneck(name="input_gates", **sizes)
            self.hidden_gates = GateBottleneck(name="hidden_gates", **sizes)

    def build(self, input_shape: tuple) -> None:
        self._check_input(input_shape)
        if self.formulation == "paper":
            self._build_paper()
        else:
            self.input_gates.build((None, self.units))
            self.hidden_gates.build((None, self.units))

    def _build_paper(self):
        self.reduce_kernel = self.add_weight(
            name="reduce_kernel",
            shape=(2 * self.units, self._hidden),
            initializer=torch_uniform(2 * self.units),
            autocast=False,
        )
        self.expand_kernel = self.add_weight(
            name="expand_kernel",
            shape=(self._hidden, 3 * self.units),
            initializer=torch_uniform(self._hidden),
            autocast=False,
        )
        self.expand_bias = self.add_weight(
            name="expand_bias",
            shape=(3 * self.units,),
            initializer=torch_uniform(self._hidden),
            autocast=False,
        )
        self.initial_context = self.add_weight(
            name="initial_context",
            shape=(self.units,),
            initializer=keras.initializers.RandomNormal(stddev=1.0),
            autocast=False,
        )

    def get_initial_state(self, batch_size: int | None = None) -> list[Tensor]:
        """Returns the states before the first layer: zeros, or the paper's trainable c^0."""
        if self.formulation != "paper":
            return super().get_initial_state(batch_size)
        if not self.built:
            self.build((None, self.units))
        context = ops.cast(self.initial_context, self.compute_dtype)
        return [ops.broadcast_to(context, (batch_size, self.units))]

    def read(self, inputs: Tensor) -> Tensor:
        if self.formulation == "paper":
            return inputs @ self.cast(self.reduce_kernel)[self.units :]
        return self.input_gates.gates(inputs)

    def recall(self, states: list) -> Tensor:
        if self.formulation == "paper":
            return self._normalize(states[0]) @ self.cast(self.reduce_kernel)[: self.units]
        return self.hidden_gates.gates(states[0])

    def first_step(self, read: Tensor) -> tuple[Tensor, list]:
        if self.formulation == "paper":
            return super().first_step(read)
        return self.step(read, self.hidden_gates.gates_of_zeros(), [None, None])

    def step(self, read: Tensor, recalled: Tensor, states: list) -> tuple[Tensor, list]:
        if self.formulation == "paper":
            # Eq. 7: W1 [sigmoid(c), y] is the sum of two products, with one half of W1 each.
            s = relu(read + recalled)
            gates = linear(s, self.cast(self.expand_kernel), self.cast(self.expand_bias))
            c = gated_context(gates, states[0])  # Eq. 8 and 9
            return c, [c]
        c = gated_context(read + recalled, states[1])
        h = self._normalize(c)
        return h, [h, c]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "reduction": self.reduction,
            "normalizer": self.normalizer,
            "formulation": self.formulation,
        }
