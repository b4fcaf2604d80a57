"""The original recurrent network of Table 4."""

import keras

from keras_dla.layers.units.recurrent_unit import LinearRecurrentUnit
from keras_dla.ops.tanh import tanh
from keras_dla.utils.types import Tensor


@keras.saving.register_keras_serializable(package="keras_dla")
class RNNUnit(LinearRecurrentUnit):
    """The plain recurrent unit h <- tanh(W_y y + b_y + W_h h + b_h).

    Args:
        units: integer, the number of channels of inputs, state and output.

    Call arguments:
        inputs: tensor `[batch, units]`, pooled features of a layer.
        states: list `[h]` with one tensor `[batch, units]`.

    Returns:
        The output h `[batch, units]`, and the list with the new state.

    Raises:
        ValueError: if `units` is not positive.

    Example:
    >>> import numpy as np
    >>> from keras_dla.layers import RNNUnit
    >>> unit = RNNUnit(64)
    >>> output, states = unit(np.ones((2, 64), "float32"), unit.get_initial_state(batch_size=2))
    >>> tuple(output.shape), unit.count_params()
    ((2, 64), 8320)
    """

    state_names = ("hidden",)
    gates = 1

    def step(self, read: Tensor, recalled: Tensor, states: list) -> tuple[Tensor, list]:
        h = tanh(read + recalled)
        return h, [h]
