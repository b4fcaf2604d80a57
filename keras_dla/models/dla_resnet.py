"""The paper's own networks: DLA-ResNets for CIFAR (Table 1) and ImageNet (Table 2).

All take the arguments of `keras_dla.models.ResNet` after their own two.
"""

from collections.abc import Callable
from typing import Any

import keras

from keras_dla.models.resnet import ResNet
from keras_dla.utils.validation import check_choice

VARIANTS = {"light": "dla_l", "base": "dla_b"}
# The part that the docstrings of the seven functions share.
DOCUMENTATION = """

    Args:
        classes: integer, the number of classes; defaults to {classes}.
        variant: string, `"light"` (DLA-L) or `"base"` (DLA-B); defaults to `"light"`.
        **kwargs: further arguments of `keras_dla.models.ResNet`, such as `formulation`,
            `reduction`, `drop_path`, `weights`, `input_shape` or `include_top`.

    Returns:
        A functional `keras.Model` from normalised images `[batch, height, width, 3]` (or channels
        first) to probabilities `[batch, classes]`.

    Raises:
        ValueError: when an argument has a value that is not allowed.

    Reference:
        https://arxiv.org/abs/2406.13392

    Example:
    >>> import keras_dla
    >>> model = keras_dla.models.{name}(classes=10)
    >>> model.output_shape
    (None, 10)
    """
Builder = Callable[..., keras.Model]


def _documented(classes: int) -> Callable[[Builder], Builder]:
    """Appends the common part to a function's one-line docstring."""

    def complete(builder: Builder) -> Builder:
        rest = DOCUMENTATION.format(classes=classes, name=builder.__name__)
        builder.__doc__ = (builder.__doc__ or "") + rest
        return builder

    return complete


def _dla_resnet(depth, stem, classes, variant, arguments) -> keras.Model:
    check_choice("variant", variant, tuple(VARIANTS))
    arguments = {"name": f"{VARIANTS[variant]}_{depth}", **arguments}
    return ResNet(depth, VARIANTS[variant], classes, stem=stem, **arguments)


@_documented(100)
def DLAResNet20(classes: int = 100, variant: str = "light", **kwargs: Any) -> keras.Model:  # noqa: N802
    """ResNet-20 for CIFAR with Dynamic Layer Attention."""
    return _dla_resnet(20, "cifar", classes, variant, kwargs)


@_documented(100)
def DLAResNet56(classes: int = 100, variant: str = "light", **kwargs: Any) -> keras.Model:  # noqa: N802
    """ResNet-56 for CIFAR with Dynamic Layer Attention."""
    return _dla_resnet(56, "cifar", classes, variant, kwargs)


@_documented(100)
def DLAResNet110(classes: int = 100, variant: str = "light", **kwargs: Any) -> keras.Model:  # noqa: N802
    """ResNet-110 for CIFAR with Dynamic Layer Attention."""
    return _dla_resnet(110, "cifar", classes, variant, kwargs)


@_documented(100)
def DLAResNet164(classes: int = 100, variant: str = "light", **kwargs: Any) -> keras.Model:  # noqa: N802
    """ResNet-164 for CIFAR with Dynamic Layer Attention."""
    return _dla_resnet(164, "cifar", classes, variant, kwargs)


@_documented(1000)
def DLAResNet50(classes: int = 1000, variant: str = "light", **kwargs: Any) -> keras.Model:  # noqa: N802
    """ResNet-50 for ImageNet with Dynamic Layer Attention."""
    return _dla_resnet(50, "imagenet", classes, variant, kwargs)


@_documented(1000)
def DLAResNet101(classes: int = 1000, variant: str = "light", **kwargs: Any) -> keras.Model:  # noqa: N802
    """ResNet-101 for ImageNet with Dynamic Layer Attention."""
    return _dla_resnet(101, "imagenet", classes, variant, kwargs)


@_documented(1000)
def DLAResNet152(classes: int = 1000, variant: str = "light", **kwargs: Any) -> keras.Model:  # noqa: N802
    """ResNet-152 for ImageNet with Dynamic Layer Attention."""
    return _dla_resnet(152, "imagenet", classes, variant, kwargs)
