"""Dynamic Layer Attention (Section 3.3 of the paper): DLA-B and DLA-L. The context is Eq. 4-5."""

from typing import Any

import keras

from keras_dla.layers.flops import matrix_flops
from keras_dla.layers.interaction.layer_interaction import check_entries
from keras_dla.layers.interaction.refresh import RefreshedMRLABase, RefreshedMRLALight, scales_of
from keras_dla.layers.interaction.unit_interaction import UnitInteraction
from keras_dla.layers.registry import register_interaction
from keras_dla.layers.units.by_name import UnitChoice, state_specs
from keras_dla.layers.units.steps import steps_of
from keras_dla.ops.channels import average_and_map
from keras_dla.ops.cheap import concatenate, reshape, split_at
from keras_dla.utils.types import Nest, Tensor
from keras_dla.utils.validation import check_choice

MODES = {"base": RefreshedMRLABase, "light": RefreshedMRLALight}


@keras.saving.register_keras_serializable(package="keras_dla")
@register_interaction("dla_b", cifar={"reduction": 4}, imagenet={"reduction": 16}, mode="base")
@register_interaction("dla_l", cifar={"reduction": 4}, imagenet={"reduction": 16}, mode="light")
class DynamicLayerAttention(UnitInteraction):
    """Layer attention over features that a recurrent unit updates from layer to layer.

        y^l = GAP(x^l)                                                      (Eq. 4)
        c^l = Dyn(y^l, c^(l-1))                                             (Eq. 5, forward path)
        d^m = Dyn(y^m, c^l),  x^m <- x^m * d^m  for the layers m < l        (Eq. 6, backward path)

    followed by the attention of Eq. 2 over all layers (`mode="base"`, DLA-B) or by the recurrence
    of Eq. 3 (`mode="light"`, DLA-L). One object serves one stage: its unit `Dyn` is shared by all
    layers, while each layer has its own projections f_q, f_k, f_v, lambda and BN. DLA-B keeps one
    value map per layer, whatever the depth. In a stage of one layer DLA-B refreshes nothing, so
    that its unit gets no gradient, and Keras warns about that.

    Formulations: `"official"` is the authors' network, with every image refreshed by its own
    context. `"verbatim"` is their code including its batch-index slip: the context of a batch's
    first image refreshes all images. `"paper"` is Eq. 1-9. See `MRLABase` and `MRLALight` for their
    effect on the attention, and `DynamicSharingUnit` for the unit.

    Args:
        depth: integer, the number of layers of the stage.
        mode: `"base"` or `"light"`; defaults to `"light"`.
        unit: the recurrent unit Dyn: `"dsu"`, with another normaliser `"dsu_tanh"`, `"dsu_relu"` or
            `"dsu_identity"` (Table 5); `"dia"`, `"lstm"`, `"rnn"`, a Keras RNN cell with as many
            outputs as the features have channels, or a function of the number of channels that
            returns one; defaults to `"dsu"`.
        reduction: integer, r of the DSU and the DIA unit; defaults to `4`.
        head_size: integer, channels per head; divides the number of channels; defaults to `32`.
        drop_path: float, the probability of dropping a sample's attention output in training;
            defaults to `0.0`.
        formulation: `"official"`, `"paper"` or `"verbatim"`; defaults to `"official"`.
        data_format: `"channels_last"` or `"channels_first"`; Keras's own by default.

    Call arguments:
        features: `[batch, height, width, channels]` (or channels first), a block's residual branch,
            or its output if there is no shortcut.
        state: the state that the previous call returned; `None` at index 0.
        shortcut: optional tensor of the shape of `features`. Without it the light mode refreshes
            its own running output.
        index: integer, the layer's place in the stage.
        training: boolean or `None`, whether the layer trains; defaults to `None`, as Keras decides.

    Returns:
        The layer's new output, of the shape of `features`, and the state: the unit's states
        (`"context"`), what it computes from them alone (`"recalled"`), and the memory of the
        attention (`"memory"`).

    Raises:
        ValueError: if an argument has a value that is not allowed, or shapes do not fit.

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
        unit: UnitChoice = "dsu",
        reduction: int = 4,
        head_size: int = 32,
        drop_path: float = 0.0,
        formulation: str = "official",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        check_choice("mode", mode, tuple(MODES))
        super().__init__(depth, unit, reduction, formulation, data_format, **kwargs)
        self.mode = mode
        self.attention = MODES[mode](
            depth,
            head_size=head_size,
            drop_path=drop_path,
            formulation=formulation,
            data_format=self.data_format,
            dtype=self.dtype_policy,
            name="attention",
        )

    def build(
        self, features_shape: tuple, state_shape: Any = None, shortcut_shape: Any = None
    ) -> None:
        channels = self.build_channels(features_shape)
        self.attention.build(features_shape)
        self.build_unit(channels)

    def call(
        self,
        features: Tensor,
        state: Nest = None,
        shortcut: Tensor | None = None,
        index: int = 0,
        training: bool | None = None,
    ) -> tuple[Tensor, Nest]:
        self.check_call(features, state, shortcut, index)
        x = self.merge(features, shortcut)
        memory = self.attention.recall(state["memory"] if index else None, shortcut, x)
        y, x = average_and_map(x, self.data_format)  # Eq. 4
        context, recalled, memory = self._refreshed(y, state, memory, index)
        output, memory = self.attention.attend(x, y, memory, index)
        x = self.attention.add(x, output, index, training)
        return x, {"context": context, "memory": memory, "recalled": recalled}

    def check_state(self, state: Nest) -> None:
        # Networks in files of release 0.1 do not pass on `recalled`.
        optional = ("recalled",) if isinstance(state, dict) and "recalled" in state else ()
        check_entries(state, ("context", "memory", *optional))
        check_entries(state["memory"], self.attention.memory_names)
        self.check_context(state["context"])
        size = steps_of(self.unit).recalled_size
        if optional and state["recalled"].shape[-1] != size:
            raise ValueError(
                f"`state` must come from a layer with the same unit, whose `recalled` has {size} "
                f"numbers, but has {state['recalled'].shape[-1]}."
            )

    def _refreshed(self, y, state, memory, index):
        """Returns the context of this layer, what the unit recalls of it, and the memory."""
        unit = steps_of(self.unit)
        pooled = self.attention.pooled(memory, index)
        read, of_memory = self._read(unit, y, pooled)
        context = self._context(unit, read, state, index)
        recalled = unit.recall(context)
        if pooled:
            d = scales_of(of_memory, context, recalled, unit, self.formulation)
            memory = self.attention.refresh(memory, d, index)  # Eq. 6
        return context, recalled, memory

    def _context(self, unit, read, state, index):
        """Returns c^l = Dyn(y^l, c^(l-1)), Eq. 5."""
        if index == 0:
            return unit.first_states(read)
        context = state["context"]
        # Networks in files of release 0.1 do not pass on `recalled`.
        recalled = state["recalled"] if "recalled" in state else unit.recall(context)
        _, context = unit.step(read, recalled, context)
        return context

    def _read(self, unit, y, pooled):
        """Returns what the unit reads of y^l and of all y^m, in one go."""
        if not pooled:
            return unit.read(y), None
        read = unit.read(concatenate([y[:, None], *pooled], axis=1))
        own, others = split_at(read, 1, axis=1)
        return reshape(own, (-1, own.shape[-1])), others

    def state_spec(
        self, features: Tensor, state: Nest, shortcut: Tensor | None, index: int
    ) -> dict:
        context = state_specs(self.unit, features.shape[0])
        memory = self.attention.state_spec(features, state, shortcut, index)
        size = steps_of(self.unit).recalled_size
        recalled = keras.KerasTensor((features.shape[0], size), self.unit.compute_dtype)
        # `recalled` comes last, because files of release 0.1 number the tensors before it.
        return {"context": context, "memory": memory, "recalled": recalled}

    def flops(
        self, features: Tensor, state: Nest = None, shortcut: Tensor = None, index: int = 0
    ) -> dict[str, int]:
        # Once for the context (Eq. 5), then for every vector that it refreshes (Eq. 6). The paper
        # counts this way; in fact, what the unit recalls of a context is computed once for all of
        # them.
        vectors = 1 + self.attention.refreshed(index)
        attention = self.attention.flops(features, index=index)
        return {**attention, "unit": vectors * matrix_flops(self.unit)}

    def _config(self, unit) -> dict:
        return {
            **super()._config(unit),
            "mode": self.mode,
            "head_size": self.attention.head_size,
            "drop_path": self.attention.drop_path.rate,
        }
