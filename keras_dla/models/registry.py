"""Networks by name, for scripts."""

from typing import Any

import keras

from keras_dla.layers.registry import OPTIONS, find_interaction, interaction_names
from keras_dla.models.resnet import ResNet
from keras_dla.utils.names import CIFAR_DEPTHS, IMAGENET_DEPTHS, PLAIN


def list_models() -> list[str]:
    """Returns the names of the networks of the paper's tables, as `get_model` takes them.

    The list includes interactions of your own that `keras_dla.layers.register_interaction` has
    added.

    Returns:
        A list of strings, sorted by interaction and depth.

    Example:
    >>> import keras_dla
    >>> names = keras_dla.models.list_models()
    >>> "dla_l_56" in names, "cbam_50" in names
    (True, True)
    """
    return [
        f"{interaction}_{depth}"
        for interaction in _known()
        for depth in (*CIFAR_DEPTHS, *IMAGENET_DEPTHS)
    ]


def get_model(name: str, **kwargs: Any) -> keras.Model:
    """Builds a network of the paper's tables by its name.

    Args:
        name: string, an interaction and a depth, such as `"dla_l_56"` or `"se_50"`; `"resnet_20"`
            is the plain network. Depths 50, 101 and 152 are ImageNet networks; other depths 9n + 2
            (20, 56, 110, ...) are CIFAR networks.
        **kwargs: further arguments of `keras_dla.models.ResNet`.

    Returns:
        A functional `keras.Model`.

    Raises:
        ValueError: when there is no such network, or `ResNet` refuses an argument.

    Example:
    >>> import keras_dla
    >>> keras_dla.models.get_model("mrla_l_20", classes=10).name
    'mrla_l_20'
    """
    interaction, depth = _parts(name)
    stem = "imagenet" if depth in IMAGENET_DEPTHS else "cifar"
    return ResNet(depth, interaction, **{"stem": stem, "name": name, **kwargs})


def used_options(name: str, **options: Any) -> dict[str, Any]:
    """Returns the options that the network with this name uses.

    This is useful when one set of options describes many networks, such as the recipe of a table of
    the paper: `ResNet` itself refuses an argument that the network would not use.

    Args:
        name: string, as `get_model` takes it.
        **options: values for `formulation`, `unit`, `reduction` and `drop_path`.

    Returns:
        A dictionary of those that the network uses.

    Raises:
        ValueError: when there is no such network.

    Example:
    >>> from keras_dla.models import used_options
    >>> used_options("mrla_l_20", drop_path=0.2, reduction=4)
    {'drop_path': 0.2}
    >>> used_options("resnet_20", drop_path=0.2)
    {}
    """
    interaction, _ = _parts(name)
    used = () if interaction is None else find_interaction(interaction).options
    return {key: value for key, value in options.items() if key in used or key not in OPTIONS}


def _known() -> list[str]:
    return [PLAIN, *interaction_names()]


def _parts(name: str) -> tuple[str | None, int]:
    """Returns the interaction and the depth of a network's name."""
    interaction, _, depth = name.rpartition("_")
    if interaction not in _known() or not depth.isdecimal():
        raise ValueError(
            f"`name` must be one of {', '.join(_known())} followed by a depth, such as "
            f"'dla_l_56', but is {name!r}."
        )
    return None if interaction == PLAIN else interaction, int(depth)
