"""The paper's own networks: DLA-ResNets for CIFAR (Table 1) and ImageNet (Table 2).

All take the arguments of `keras_dla.models.ResNet` behind their own two.
"""

import keras

from keras_dla.models.resnet import ResNet
from keras_dla.utils.validation import check_choice

VARIANTS = {"light": "dla_l", "base": "dla_b"}


def _dla_resnet(depth, stem, classes, variant, arguments) -> keras.Model:
    check_choice("variant", variant, tuple(VARIANTS))
    arguments = {"name": f"{VARIANTS[variant]}_{depth}", **arguments}
    return ResNet(depth, VARIANTS[variant], classes, stem=stem, **arguments)


def DLAResNet20(classes: int = 100, variant: str = "light", **kwargs) -> keras.Model:  # noqa: N802
    """ResNet-20 for CIFAR with Dynamic Layer Attention.

    Args:
        classes: integer, the number of classes.
        variant: `"light"` (DLA-L) or `"base"` (DLA-B).
        **kwargs: further arguments of `keras_dla.models.ResNet`, such as `formulation`,
            `drop_path`, `input_shape` or `include_top`.

    Returns:
        A functional `keras.Model` from normalised images to probabilities `[batch, classes]`.

    Raises:
        ValueError: if an argument is not among those allowed.

    Example:
    >>> import keras_dla
    >>> model = keras_dla.models.DLAResNet20(classes=10)
    >>> model.output_shape
    (None, 10)
    """
    return _dla_resnet(20, "cifar", classes, variant, kwargs)


def DLAResNet56(classes: int = 100, variant: str = "light", **kwargs) -> keras.Model:  # noqa: N802
    """ResNet-56 for CIFAR with Dynamic Layer Attention.

    Args:
        classes: integer, the number of classes.
        variant: `"light"` (DLA-L) or `"base"` (DLA-B).
        **kwargs: further arguments of `keras_dla.models.ResNet`, such as `formulation`,
            `drop_path`, `input_shape` or `include_top`.

    Returns:
        A functional `keras.Model` from normalised images to probabilities `[batch, classes]`.

    Raises:
        ValueError: if an argument is not among those allowed.

    Example:
    >>> import keras_dla
    >>> model = keras_dla.models.DLAResNet56(classes=10)
    >>> model.output_shape
    (None, 10)
    """
    return _dla_resnet(56, "cifar", classes, variant, kwargs)


def DLAResNet110(classes: int = 100, variant: str = "light", **kwargs) -> keras.Model:  # noqa: N802
    """ResNet-110 for CIFAR with Dynamic Layer Attention.

    Args:
        classes: integer, the number of classes.
        variant: `"light"` (DLA-L) or `"base"` (DLA-B).
        **kwargs: further arguments of `keras_dla.models.ResNet`, such as `formulation`,
            `drop_path`, `input_shape` or `include_top`.

    Returns:
        A functional `keras.Model` from normalised images to probabilities `[batch, classes]`.

    Raises:
        ValueError: if an argument is not among those allowed.

    Example:
    >>> import keras_dla
    >>> model = keras_dla.models.DLAResNet110(classes=10)
    >>> model.output_shape
    (None, 10)
    """
    return _dla_resnet(110, "cifar", classes, variant, kwargs)


def DLAResNet164(classes: int = 100, variant: str = "light", **kwargs) -> keras.Model:  # noqa: N802
    """ResNet-164 for CIFAR with Dynamic Layer Attention.

    Args:
        classes: integer, the number of classes.
        variant: `"light"` (DLA-L) or `"base"` (DLA-B).
        **kwargs: further arguments of `keras_dla.models.ResNet`, such as `formulation`,
            `drop_path`, `input_shape` or `include_top`.

    Returns:
        A functional `keras.Model` from normalised images to probabilities `[batch, classes]`.

    Raises:
        ValueError: if an argument is not among those allowed.

    Example:
    >>> import keras_dla
    >>> model = keras_dla.models.DLAResNet164(classes=10)
    >>> model.output_shape
    (None, 10)
    """
    return _dla_resnet(164, "cifar", classes, variant, kwargs)


def DLAResNet50(classes: int = 1000, variant: str = "light", **kwargs) -> keras.Model:  # noqa: N802
    """ResNet-50 for ImageNet with Dynamic Layer Attention.

    Args:
        classes: integer, the number of classes.
        variant: `"light"` (DLA-L) or `"base"` (DLA-B).
        **kwargs: further arguments of `keras_dla.models.ResNet`, such as `formulation`,
            `reduction`, `drop_path`, `input_shape` or `include_top`.

    Returns:
        A functional `keras.Model` from normalised images to probabilities `[batch, classes]`.

    Raises:
        ValueError: if an argument is not among those allowed.

    Example:
    >>> import keras_dla
    >>> model = keras_dla.models.DLAResNet50(classes=10)
    >>> model.output_shape
    (None, 10)
    """
    return _dla_resnet(50, "imagenet", classes, variant, kwargs)


def DLAResNet101(classes: int = 1000, variant: str = "light", **kwargs) -> keras.Model:  # noqa: N802
    """ResNet-101 for ImageNet with Dynamic Layer Attention.

    Args:
        classes: integer, the number of classes.
        variant: `"light"` (DLA-L) or `"base"` (DLA-B).
        **kwargs: further arguments of `keras_dla.models.ResNet`, such as `formulation`,
            `reduction`, `drop_path`, `input_shape` or `include_top`.

    Returns:
        A functional `keras.Model` from normalised images to probabilities `[batch, classes]`.

    Raises:
        ValueError: if an argument is not among those allowed.

    Example:
    >>> import keras_dla
    >>> model = keras_dla.models.DLAResNet101(classes=10)
    >>> model.output_shape
    (None, 10)
    """
    return _dla_resnet(101, "imagenet", classes, variant, kwargs)


def DLAResNet152(classes: int = 1000, variant: str = "light", **kwargs) -> keras.Model:  # noqa: N802
    """ResNet-152 for ImageNet with Dynamic Layer Attention.

    Args:
        classes: integer, the number of classes.
        variant: `"light"` (DLA-L) or `"base"` (DLA-B).
        **kwargs: further arguments of `keras_dla.models.ResNet`, such as `formulation`,
            `reduction`, `drop_path`, `input_shape` or `include_top`.

    Returns:
        A functional `keras.Model` from normalised images to probabilities `[batch, classes]`.

    Raises:
        ValueError: if an argument is not among those allowed.

    Example:
    >>> import keras_dla
    >>> model = keras_dla.models.DLAResNet152(classes=10)
    >>> model.output_shape
    (None, 10)
    """
    return _dla_resnet(152, "imagenet", classes, variant, kwargs)
