"""Layer-wise information integration (LII), Section 5.3; with the DIA unit it is DIANet."""

from typing import Any

import keras
from keras import ops

from keras_dla.layers.flops import matrix_flops
from keras_dla.layers.interaction.unit_interaction import UnitInteraction
from keras_dla.layers.observation import report
from keras_dla.layers.registry import register_interaction
from keras_dla.layers.units.by_name import UnitChoice, state_specs
from keras_dla.ops.channels import global_average_pool, per_channel
from keras_dla.utils.types import Nest, Tensor


@keras.saving.register_keras_serializable(package="keras_dla")
@register_interaction("dianet", cifar={"reduction": 4}, imagenet={"reduction": 20})
class LayerwiseInformationIntegration(UnitInteraction):
    """Gates every residual branch with a recurrent unit that the stage shares (LII, Table 6).

        h^l, states = unit(GAP(branch^l), states)
        x^l = ReLU(branch^l * h^l + shortcut^l)

    With the DIA unit this is DIANet (Huang et al., 2020).

    Args:
        depth: integer, the number of blocks of the stage.
        unit: `"dia"`, `"dsu"` (or `"dsu_tanh"`, `"dsu_relu"`, `"dsu_identity"`), `"lstm"`, `"rnn"`,
            a Keras RNN cell with as many outputs as the features have channels, or a function of
            the number of channels that returns one; defaults to `"dia"`.
        reduction: integer, r of the DIA unit and the DSU; defaults to `4`.
        formulation: the DSU's formulation; has no effect on the other units; defaults to
            `"official"`.
        data_format: `"channels_last"` or `"channels_first"`; Keras's own by default.

    Call arguments:
        features: `[batch, height, width, channels]` (or channels first), a residual branch.
        state: the state that the previous call returned; `None` at index 0.
        shortcut: optional tensor of the shape of `features`.
        index: integer, the block's place in the stage.
        training: boolean or `None`, whether the layer trains; defaults to `None`, as Keras decides.

    Returns:
        The block's output, of the shape of `features`, and the list of the unit's states.

    Raises:
        ValueError: if an argument has a value that is not allowed, or shapes do not fit.

    Example:
    >>> import numpy as np
    >>> from keras_dla.layers import LayerwiseInformationIntegration
    >>> lii = LayerwiseInformationIntegration(depth=2, unit="dia", data_format="channels_last")
    >>> x, state = lii(np.ones((1, 4, 4, 64), "float32"), index=0)
    >>> x, state = lii(x, state, index=1)
    >>> tuple(x.shape), len(state)
    ((1, 4, 4, 64), 2)
    """

    def __init__(
        self,
        depth: int,
        unit: UnitChoice = "dia",
        reduction: int = 4,
        formulation: str = "official",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(depth, unit, reduction, formulation, data_format, **kwargs)

    def build(
        self, features_shape: tuple, state_shape: Any = None, shortcut_shape: Any = None
    ) -> None:
        self.build_unit(self.build_channels(features_shape))

    def call(
        self,
        features: Tensor,
        state: Nest = None,
        shortcut: Tensor | None = None,
        index: int = 0,
        training: bool | None = None,
    ) -> tuple[Tensor, Nest]:
        self.check_call(features, state, shortcut, index)
        y = global_average_pool(features, self.data_format)
        if index == 0:
            state = self.unit.get_initial_state(ops.shape(y)[0])
        gate, state = self.unit(y, state)
        report(self, index, gate=gate)
        gate = ops.cast(per_channel(gate, self.data_format), self.compute_dtype)
        return self.merge(ops.cast(features, self.compute_dtype) * gate, shortcut), state

    def check_state(self, state: Nest) -> None:
        self.check_context(state)

    def state_spec(
        self, features: Tensor, state: Nest, shortcut: Tensor | None, index: int
    ) -> list:
        return state_specs(self.unit, features.shape[0])

    def flops(
        self, features: Tensor, state: Nest = None, shortcut: Tensor = None, index: int = 0
    ) -> dict[str, int]:
        return {"unit": matrix_flops(self.unit)}
