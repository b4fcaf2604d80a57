"""Dynamic Layer Attention, Section 3.3 of the paper (Eq. 4-6): DLA-B and DLA-L."""

import keras
from keras import ops

from keras_dla.layers.flops import matrix_flops
from keras_dla.layers.interaction.dynamic_base_attention import DynamicBase
from keras_dla.layers.interaction.dynamic_light_attention import DynamicLight
from keras_dla.layers.interaction.layer_interaction import LayerInteraction
from keras_dla.layers.units.by_name import make_unit, resolve_unit, state_specs, unit_config
from keras_dla.ops.channels import global_average_pool
from keras_dla.ops.cheap import cast, reshape
from keras_dla.utils.validation import check_choice, check_positive_integer

MODES = {"base": DynamicBase, "light": DynamicLight}


@keras.saving.register_keras_serializable(package="keras_dla")
class DynamicLayerAttention(LayerInteraction):
    """Layer attention over features that a recurrent unit keeps refreshing.

        y^l = GAP(x^l)                                                      (Eq. 4)
        c^l = Dyn(y^l, c^(l-1))                                             (Eq. 5, forward path)
        d^m = Dyn(y^m, c^l),  x^m <- x^m * d^m  for the layers m < l        (Eq. 6, backward path)

    followed by the attention of Eq. 2 over all layers (`mode="base"`, DLA-B) or by the recurrence
    of Eq. 3 (`mode="light"`, DLA-L). One object serves one stage: its unit `Dyn` is shared by all
    layers, the projections f_q, f_k, f_v, lambda and BN belong to one layer each. DLA-B keeps one
    value map a layer, whatever the depth.

    Formulations: `"official"` is the authors' network, with every image refreshed by its own
    context. `"verbatim"` is their code to the bit, which refreshes all images of a batch by the
    context of the first. `"paper"` is Eq. 1-9. See `BaseLayerAttention` and
    `LightLayerAttention` for what they mean to the attention, `DynamicSharingUnit` to the unit.

    Args:
        depth: integer, the number of layers of the stage.
        mode: `"base"` or `"light"`.
        unit: the recurrent unit Dyn: `"dsu"`, `"dia"`, `"lstm"`, `"rnn"`, a Keras RNN cell with as
            many outputs as the features have channels, or a function of the number of channels
            that returns one.
        reduction: integer, r of the DSU and the DIA unit.
        head_size: integer, channels a head; divides the number of channels.
        drop_path: float, the probability of dropping a sample's attention output in training.
        formulation: `"official"`, `"paper"` or `"verbatim"`.
        data_format: `"channels_last"` or `"channels_first"`; Keras's own by default.

    Call arguments:
        features: `[batch, height, width, channels]` (or channels first), a block's residual
            branch, or its output where there is no shortcut.
        state: what the call before returned; `None` at index 0.
        shortcut: optional tensor of the shape of `features`. Without it the light mode refreshes
            its own running output.
        index: integer, the layer's place in the stage.

    Returns:
        The layer's new output, of the shape of `features`, and the state: the unit's states
        (`"context"`) and what the attention remembers (`"memory"`).

    Raises:
        ValueError: if an argument is not among those allowed, or shapes do not fit.

    Example:
    >>> import numpy as np
    >>> from keras_dla.layers import DynamicLayerAttention
    >>> dla = DynamicLayerAttention(depth=3, mode="base", data_format="channels_last")
    >>> x, state = np.ones((2, 8, 8, 64), "float32"), None
    >>> for index in range(3):
    ...     x, state = dla(x, state, index=index)
    >>> tuple(x.shape), len(state["memory"]["values"])
    ((2, 8, 8, 64), 3)
    """

    keeps_maps = True

    def __init__(
        self,
        depth: int,
        mode: str = "light",
        unit: "str | keras.layers.Layer" = "dsu",
        reduction: int = 4,
        head_size: int = 32,
        drop_path: float = 0.0,
        formulation: str = "official",
        data_format: str | None = None,
        **kwargs,
    ):
        check_choice("mode", mode, tuple(MODES))
        unit = resolve_unit(unit)
        check_positive_integer("reduction", reduction)
        super().__init__(depth, data_format, **kwargs)
        self.attention = MODES[mode](
            depth,
            head_size=head_size,
            drop_path=drop_path,
            formulation=formulation,
            data_format=self.data_format,
            dtype=self.dtype_policy,
            name="attention",
        )
        self.mode = mode
        self.unit = unit
        self.unit_name = unit if isinstance(unit, str) else None
        self.reduction = reduction
        self.formulation = formulation

    def build(self, features_shape, state_shape=None, shortcut_shape=None):
        channels = self.build_channels(features_shape)
        self.attention.build(features_shape)
        self.unit = make_unit(
            self.unit, channels, self.reduction, self.formulation, self.variable_dtype
        )
        if not self.unit.built:
            self.unit.build((None, channels))

    def call(self, features, state=None, shortcut=None, index=0):
        self.check_call(features, state, shortcut, index)
        x = self.merge(features, shortcut)
        y = global_average_pool(x, self.data_format)
        context = state["context"] if index else self.unit.get_initial_state(ops.shape(y)[0])
        _, context = self.unit(y, context)
        memory = self.attention.recall(state["memory"] if index else None, shortcut, x)
        memory = self.attention.refresh(memory, lambda ys: self._dyn(ys, context), index)
        output, memory = self.attention.attend(x, y, memory, index)
        return self.attention.add(x, output, index), {"context": context, "memory": memory}

    def _dyn(self, ys, context):
        """Dyn(y^m, c^l) for one m or for all at once, to scales of the shape of `ys`."""
        if len(ys.shape) == 2:
            return self._scales(ys, context, layers=1)
        layers = ys.shape[1]
        scales = self._scales(reshape(ys, (-1, self.channels)), context, layers)
        return reshape(scales, (-1, layers, self.channels))

    def _scales(self, ys, context, layers: int):
        if layers > 1 or self.formulation == "verbatim":
            context = keras.tree.map_structure(lambda c: self._for_rows(c, layers, ys), context)
        scales, _ = self.unit(ys, context)
        return cast(scales, self.variable_dtype)

    def _for_rows(self, context, layers, rows):
        """Gives every pooled vector the context of its image; in their code, of the first image."""
        if self.formulation == "verbatim":
            return ops.broadcast_to(context[:1], (ops.shape(rows)[0], context.shape[-1]))
        return ops.repeat(context, layers, axis=0)

    def state_spec(self, features, state, shortcut, index):
        context = state_specs(self.unit, features.shape[0])
        memory = self.attention.state_spec(features, state, shortcut, index)
        return {"context": context, "memory": memory}

    def flops(self, features, state=None, shortcut=None, index=0):
        # Once for the context (Eq. 5), then for every vector that it refreshes (Eq. 6).
        vectors = 1 + self.attention.refreshed(index)
        attention = self.attention.flops(features, index=index)
        return {**attention, "unit": vectors * matrix_flops(self.unit)}

    def get_config(self):
        return {
            **super().get_config(),
            "mode": self.mode,
            "unit": unit_config(self.unit_name, self.unit),
            "reduction": self.reduction,
            "head_size": self.attention.head_size,
            "drop_path": self.attention.drop_path.rate,
            "formulation": self.formulation,
        }
