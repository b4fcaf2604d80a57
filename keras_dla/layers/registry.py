"""Interactions by name: the list that builders, the command line and the tables read."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import keras

from keras_dla.layers.block_attention.block_attention import BlockAttention
from keras_dla.layers.interaction.layer_interaction import LayerInteraction
from keras_dla.utils.names import PLAIN

LayerClass = TypeVar("LayerClass", bound=type[keras.layers.Layer])
# The builder's arguments for the interaction, which it passes on or refuses.
OPTIONS = ("formulation", "unit", "reduction", "drop_path")


@dataclass(frozen=True)
class NamedInteraction:
    """A class of layers with the settings that a name stands for.

    Args:
        name: string, such as `"dla_l"`.
        layer: the class.
        settings: dictionary, arguments of the class that the name fixes.
        defaults: dictionary, by stem (`"cifar"`, `"imagenet"`), of dictionaries: arguments of the
            class that depend on the stem; the builder's caller may override them.

    Example:
    >>> from keras_dla.layers.registry import find_interaction
    >>> named = find_interaction("dla_l")
    >>> named.layer.__name__, named.settings, named.defaults["imagenet"]
    ('DynamicLayerAttention', {'mode': 'light'}, {'reduction': 16})
    >>> named.options
    ('formulation', 'unit', 'reduction', 'drop_path')
    """

    name: str
    layer: type[keras.layers.Layer]
    settings: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def options(self) -> tuple[str, ...]:
        """Those of `OPTIONS` that the class takes and the name leaves open."""
        taken = _parameters(self.layer)
        return tuple(name for name in OPTIONS if name in taken and name not in self.settings)

    def make(self, stem: str, data_format: str, given: Mapping[str, Any]) -> keras.layers.Layer:
        """Returns the layer that a builder copies for each stage or block.

        Args:
            stem: string, `"cifar"` or `"imagenet"`.
            data_format: string, `"channels_last"` or `"channels_first"`.
            given: dictionary, those of `options` that the builder's caller gave.
        """
        arguments = {**self.settings, **self.defaults.get(stem, {}), **given}
        if issubclass(self.layer, LayerInteraction):
            arguments = {"depth": 1, **arguments}
        if issubclass(self.layer, (LayerInteraction, BlockAttention)) or "data_format" in (
            _parameters(self.layer)
        ):
            arguments["data_format"] = data_format
        return self.layer(**arguments)


_INTERACTIONS: dict[str, NamedInteraction] = {}


def register_interaction(
    name: str,
    *,
    cifar: Mapping[str, Any] | None = None,
    imagenet: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Callable[[LayerClass], LayerClass]:
    """Decorates a layer's class so that builders and the command line know it by a name.

    `keras_dla.models.ResNet(20, name)`, `keras_dla.models.get_model(f"{name}_20")` and
    `keras-dla train --import FILE --model NAME_20` build networks with it, and
    `keras_dla.models.list_models` lists them. Of the builder's arguments `formulation`, `unit`,
    `reduction` and `drop_path` the layer gets those that its constructor names; the builder
    refuses the others. A class may have several names.

    Args:
        name: string, of lower-case letters, digits and `_`, beginning with a letter.
        cifar: dictionary, the constructor's arguments in CIFAR networks, unless the builder's
            caller gives others; defaults to `None`, the constructor's own defaults.
        imagenet: dictionary, the same in ImageNet networks; defaults to `None`.
        **settings: the constructor's arguments that the name stands for, such as `mode="light"`.

    Returns:
        A decorator, which returns the class unchanged.

    Raises:
        ValueError: when `name` is malformed or another class has it, when the decorated object is
            not a class of layers, or when its constructor does not take one of the arguments.

    Example:
    >>> import keras
    >>> import keras_dla
    >>> @keras.saving.register_keras_serializable(package="mine")
    ... @keras_dla.layers.register_interaction("doubled")
    ... class Doubled(keras.layers.Layer):
    ...     def call(self, inputs):
    ...         return 2 * inputs
    >>> keras_dla.models.get_model("doubled_11", classes=10).name
    'doubled_11'
    """
    _check_name(name)
    defaults = {"cifar": dict(cifar or {}), "imagenet": dict(imagenet or {})}

    def register(layer: LayerClass) -> LayerClass:
        _check_layer(name, layer, {*settings, *defaults["cifar"], *defaults["imagenet"]})
        _INTERACTIONS[name] = NamedInteraction(name, layer, settings, defaults)
        return layer

    return register


def interaction_names() -> list[str]:
    """Returns the names of all registered interactions, in alphabetical order.

    Example:
    >>> from keras_dla.layers.registry import interaction_names
    >>> "dla_l" in interaction_names(), "se" in interaction_names()
    (True, True)
    """
    return sorted(_INTERACTIONS)


def find_interaction(name: str) -> NamedInteraction:
    """Returns the interaction of a name.

    Raises:
        ValueError: when there is none.
    """
    if not isinstance(name, str) or name not in _INTERACTIONS:
        raise ValueError(
            f"`interaction` must be None, one of {', '.join(map(repr, interaction_names()))}, or a "
            f"layer, but is {name!r}."
        )
    return _INTERACTIONS[name]


def _check_name(name: Any) -> None:
    plain = isinstance(name, str) and name.isascii() and name.replace("_", "a").isalnum()
    if not plain or name != name.lower() or not name[0].isalpha() or name == PLAIN:
        raise ValueError(
            f"`name` must be lower-case letters, digits and '_', beginning with a letter, and not "
            f"{PLAIN!r}, but is {name!r}."
        )


def _check_layer(name: str, layer: Any, arguments: set[str]) -> None:
    if not (isinstance(layer, type) and issubclass(layer, keras.layers.Layer)):
        raise ValueError(
            f"register_interaction({name!r}) must decorate a class of Keras layers, but decorates "
            f"{layer!r}."
        )
    unknown = sorted(arguments - _parameters(layer))
    if unknown:
        raise ValueError(
            f"register_interaction({name!r}) must give arguments of {layer.__name__}'s "
            f"constructor, but gives {unknown[0]!r}."
        )
    known = _INTERACTIONS.get(name)
    if known is not None and _origin(known.layer) != _origin(layer):
        raise ValueError(
            f"`name` must be one that no other interaction has, but {name!r} is the name of "
            f"{known.layer}."
        )


def _origin(layer: type) -> tuple[str, str]:
    """Returns where a class is defined; a notebook's cell or a reloaded module defines it again."""
    return layer.__module__, layer.__qualname__


def _parameters(layer: type) -> set[str]:
    """Returns the constructor's arguments by name, including those of its base classes."""
    names: set[str] = set()
    for base in layer.__mro__:
        if base is keras.layers.Layer:
            break
        if "__init__" not in vars(base):
            continue
        found = inspect.signature(vars(base)["__init__"]).parameters.values()
        names |= {p.name for p in found if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        if not any(p.kind is p.VAR_KEYWORD for p in found):
            break
    return names - {"self"}
