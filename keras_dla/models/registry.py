"""Networks by name, for scripts."""

import keras

from keras_dla.models.interactions import INTERACTIONS
from keras_dla.models.resnet import ResNet
from keras_dla.utils.names import CIFAR_DEPTHS, IMAGENET_DEPTHS


def list_models() -> list[str]:
    """Returns the names of the networks of the paper's tables, as `get_model` takes them.

    Example:
    >>> import keras_dla
    >>> names = keras_dla.models.list_models()
    >>> "dla_l_56" in names, "cbam_50" in names, len(names)
    (True, True, 105)
    """
    return [
        f"{interaction}_{depth}"
        for interaction in ("resnet", *INTERACTIONS)
        for depth in (*CIFAR_DEPTHS, *IMAGENET_DEPTHS)
    ]


def get_model(name: str, **kwargs) -> keras.Model:
    """Builds a network of the paper's tables by its name.

    Args:
        name: an interaction and a depth, such as `"dla_l_56"` or `"se_50"`; `"resnet_20"` is the
            plain network. Depths 50, 101 and 152 are ImageNet networks, depths 9n + 2 (20, 56,
            110, ...) CIFAR networks; 101 is the ImageNet one.
        **kwargs: further arguments of `keras_dla.models.ResNet`.

    Returns:
        A functional `keras.Model`.

    Raises:
        ValueError: if there is no such network.

    Example:
    >>> import keras_dla
    >>> keras_dla.models.get_model("mrla_l_20", classes=10).name
    'mrla_l_20'
    """
    interaction, _, depth = name.rpartition("_")
    if interaction not in ("resnet", *INTERACTIONS) or not depth.isdigit():
        raise ValueError(
            f"`name` must be one of {', '.join(('resnet', *INTERACTIONS))} with a depth behind it, "
            f"such as 'dla_l_56', but is {name!r}."
        )
    depth = int(depth)
    stem = "imagenet" if depth in IMAGENET_DEPTHS else "cifar"
    interaction = None if interaction == "resnet" else interaction
    return ResNet(depth, interaction, **{"stem": stem, "name": name, **kwargs})
