"""The LSTM of Tables 4 and 6, with the two biases that the paper's counts include."""

import keras

from keras_dla.layers.units.recurrent_unit import LinearRecurrentUnit
from keras_dla.ops.cheap import sigmoid, split_at
from keras_dla.ops.gated_context import gated_context
from keras_dla.ops.tanh import tanh
from keras_dla.utils.types import Tensor


@keras.saving.register_keras_serializable(package="keras_dla")
class LSTMUnit(LinearRecurrentUnit):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997) with PyTorch's two biases per gate.

    `keras.layers.LSTMCell` has one bias per gate and can be passed to the layers as well; the
    paper's 1.31M parameters of LII (LSTM) on ResNet-56 include two.

    Args:
        units: integer, the number of channels of inputs, states and output.

    Call arguments:
        inputs: tensor `[batch, units]`, pooled features of a layer.
        states: list `[h, c]` of tensors `[batch, units]`.

    Returns:
        The output h `[batch, units]`, and the list of new states.

    Raises:
        ValueError: if `units` is not positive.

    Example:
    >>> import numpy as np
    >>> from keras_dla.layers import LSTMUnit
    >>> unit = LSTMUnit(64)
    >>> output, states = unit(np.ones((2, 64), "float32"), unit.get_initial_state(batch_size=2))
    >>> tuple(output.shape), unit.count_params()
    ((2, 64), 33280)
    """

    state_names = ("hidden", "cell")
    gates = 4

    def step(self, read: Tensor, recalled: Tensor, states: list) -> tuple[Tensor, list]:
        gates, o = split_at(read + recalled, 3 * self.units, axis=-1)
        c = gated_context(gates, states[1])
        h = sigmoid(o) * tanh(c)
        return h, [h, c]
