"""The common base of interactions with a recurrent unit: how the unit is chosen and built."""

from typing import Any

import keras

from keras_dla.layers.base_config import clone_layer
from keras_dla.layers.interaction.layer_interaction import LayerInteraction, tensors_of
from keras_dla.layers.units.by_name import UnitChoice, make_unit, resolve_unit
from keras_dla.utils.types import Nest
from keras_dla.utils.validation import FORMULATIONS, check_choice, check_positive_integer


class UnitInteraction(LayerInteraction):
    """Base of the layers whose blocks interact through one recurrent unit per stage.

    `unit` is the cell: the one that was given, or the one that `build` makes for the stage's number
    of channels.

    Args:
        depth: integer, the number of blocks of the stage.
        unit: name, Keras RNN cell, or function of the number of channels that returns one.
        reduction: integer, r of the DSU and the DIA unit; defaults to 4.
        formulation: `"official"`, `"paper"` or `"verbatim"`; defaults to `"official"`.
        data_format: `"channels_last"` or `"channels_first"`; defaults to Keras's own.

    Raises:
        ValueError: when an argument has a value that is not allowed.
    """

    def __init__(
        self,
        depth: int,
        unit: UnitChoice,
        reduction: int = 4,
        formulation: str = "official",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        check_choice("formulation", formulation, FORMULATIONS)
        check_positive_integer("reduction", reduction)
        choice = resolve_unit(unit)
        super().__init__(depth, data_format, **kwargs)
        self.unit: Any = choice if isinstance(choice, keras.layers.Layer) else None
        self.unit_name = choice if isinstance(choice, str) else None
        self.unit_function = choice if self.unit is None and self.unit_name is None else None
        self.reduction = int(reduction)
        self.formulation = formulation

    def build_unit(self, channels: int) -> None:
        """Makes the stage's unit if none was given, and builds it."""
        choice = self.unit or self.unit_name or self.unit_function
        self.unit = make_unit(
            choice, channels, self.reduction, self.formulation, self.variable_dtype
        )
        if not self.unit.built:
            self.unit.build((None, channels))

    def check_context(self, context: Nest) -> None:
        """Raises `ValueError` unless these have the number and sizes of the unit's states.

        Args:
            context: the states of its unit that a layer returned.
        """
        expected = list(tensors_of(self.unit.state_size))
        is_list = isinstance(context, (list, tuple))
        tensors = tensors_of(context) if is_list else ()
        shapes: list[tuple] = [tuple(getattr(tensor, "shape", ())) for tensor in tensors]
        found = [shape[-1] if len(shape) == 2 else shape for shape in shapes]
        if found != expected:
            what = ", ".join(map(str, found)) if is_list else f"a {type(context).__name__}"
            raise ValueError(
                "`state` must be the state that this layer returned at the previous index, with "
                f"the states of its unit, of size {', '.join(map(str, expected))}, but has {what}."
            )

    def for_stage(self, depth: int, name: str | None = None) -> LayerInteraction:
        if self.unit_function is None:
            return super().for_stage(depth, name)
        return clone_layer(self, self._config(self.unit_function), depth=depth, name=name)

    def get_config(self) -> dict:
        if self.unit_name is not None:
            return self._config(self.unit_name)
        if self.unit is None:
            raise ValueError(
                f"`unit` of the layer {self.name!r} must be a name, a cell, or a function whose "
                f"cell has been built before the layer is saved, but is {self.unit_function!r}: "
                "call or build the layer first."
            )
        return self._config(keras.saving.serialize_keras_object(self.unit))

    def _config(self, unit) -> dict:
        return {
            **super().get_config(),
            "unit": unit,
            "reduction": self.reduction,
            "formulation": self.formulation,
        }
