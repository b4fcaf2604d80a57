"""The recurrent units by name; the rows of Tables 4 and 5 differ only in this name."""

from collections.abc import Callable
from typing import Any, TypeAlias

import keras

from keras_dla.layers.units.dia_unit import DIAUnit
from keras_dla.layers.units.dynamic_sharing_unit import DynamicSharingUnit
from keras_dla.layers.units.lstm_unit import LSTMUnit
from keras_dla.layers.units.rnn_unit import RNNUnit
from keras_dla.utils.names import UNITS

# A name, a Keras RNN cell, or a function of the number of channels that returns one.
UnitChoice: TypeAlias = "str | keras.layers.Layer | Callable[[int], keras.layers.Layer]"


def resolve_unit(unit: Any) -> UnitChoice:
    """Returns `unit`, deserialised from its configuration if a layer is being loaded.

    Raises:
        ValueError: unless `unit` is a known name, an RNN cell or a function that makes one.
    """
    if isinstance(unit, dict):
        unit = keras.saving.deserialize_keras_object(unit)
    if callable(unit) or (isinstance(unit, str) and unit in UNITS):
        return unit
    raise ValueError(
        f"`unit` must be one of {', '.join(map(repr, UNITS))}, a Keras RNN cell, or a function of "
        f"the number of channels that returns one, but is {unit!r}."
    )


def make_unit(
    unit: UnitChoice,
    channels: int,
    reduction: int,
    formulation: str,
    dtype: "str | keras.DTypePolicy",
) -> keras.layers.Layer:
    """Returns the unit of one stage for `channels` channels.

    Args:
        unit: a name in `UNITS`, an RNN cell, or a function of `channels` that returns one.
        channels: integer, the stage's number of channels.
        reduction: integer, r of the DSU and of the DIA unit.
        formulation: the DSU's formulation.
        dtype: dtype policy of the unit.

    Raises:
        ValueError: if the unit's output does not have `channels` entries.
    """
    if isinstance(unit, str):
        return _make_named(unit, channels, reduction, formulation, dtype)
    cell = unit if isinstance(unit, keras.layers.Layer) else unit(channels)
    size = getattr(cell, "output_size", None)
    if size != channels:
        raise ValueError(
            f"`unit` must be an RNN cell with as many outputs as the features have channels "
            f"({channels}), but {cell!r} has {size}."
        )
    return cell


def _make_named(name, channels, reduction, formulation, dtype):
    common = {"dtype": dtype, "name": "unit"}
    if name.startswith("dsu"):
        normalizer = name.removeprefix("dsu").removeprefix("_") or "sigmoid"
        return DynamicSharingUnit(
            channels, reduction, normalizer=normalizer, formulation=formulation, **common
        )
    makers = {
        "dia": lambda: DIAUnit(channels, reduction, **common),
        "lstm": lambda: LSTMUnit(channels, **common),
        "rnn": lambda: RNNUnit(channels, **common),
    }
    return makers[name]()


def state_specs(unit: keras.layers.Layer, batch_size: int | None) -> list:
    """Returns the `keras.KerasTensor`s of the states of an RNN cell."""
    sizes = [unit.state_size] if isinstance(unit.state_size, int) else list(unit.state_size)
    return keras.tree.map_structure(
        lambda size: keras.KerasTensor((batch_size, size), unit.compute_dtype), sizes
    )
