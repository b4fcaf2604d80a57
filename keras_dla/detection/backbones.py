"""Backbones of detectors: their feature maps, and freezing their first stages."""

import os

import keras

from keras_dla.models import LeanModel, get_model
from keras_dla.models.weights import load_weights_into
from keras_dla.utils.validation import check_choice

# r of DLA in the authors' detectors, with which Table 3's parameter counts are met.
DETECTION_REDUCTION = 20


def feature_extractor(
    backbone: "str | keras.Model", data_format: str, weights: "str | os.PathLike | None" = None
) -> keras.Model:
    """Returns a model from images to a dictionary of feature maps, by level.

    Level `"P2"` has stride 4, `"P3"` stride 8, and so on.

    Args:
        backbone: the name of a network as `keras_dla.models.get_model` takes it, such as
            `"dla_l_50"` (the authors' r = 20 in DLA); a `keras.Model` with `pyramid_outputs`, such
            as `keras_dla.models.ResNet(..., include_top=False)` or a backbone of KerasHub; or a
            functional model whose output is such a dictionary.
        data_format: `"channels_last"` or `"channels_first"`, that of the maps.
        weights: string, path or `None`, a file for the backbone, as in `keras_dla.models.ResNet`: a
            trained plain ResNet with torchvision's or timm's names, the authors' checkpoint, or a
            file of `save_weights`; defaults to `None`, no change.

    Returns:
        A functional `keras.Model`.

    Raises:
        ValueError: if there is no such network, or it has no feature levels, or lacks a level
            between the first and the last.

    Example:
    >>> from keras_dla.detection import feature_extractor
    >>> list(feature_extractor("se_50", "channels_last").output)
    ['P2', 'P3', 'P4', 'P5']
    """
    if isinstance(backbone, str):
        backbone = _by_name(backbone, data_format)
    if not isinstance(backbone, keras.Model):
        raise ValueError(
            f"`backbone` must be a network's name or a keras.Model, but is {backbone!r}."
        )
    if weights is not None:
        load_weights_into(backbone, weights)
    levels = getattr(backbone, "pyramid_outputs", None) or _dictionary(backbone)
    if not levels or not all(map(_is_level, levels)):
        raise ValueError(
            f"`backbone` must have feature levels (`pyramid_outputs`, or a dictionary 'P2', 'P3', "
            f"... as its output), but {backbone.name!r} has none."
        )
    levels = {level: levels[level] for level in sorted(levels, key=_number)}
    _check_consecutive(levels, backbone.name)
    return LeanModel(backbone.input, levels, name=backbone.name)


def _by_name(name, data_format):
    reduction = DETECTION_REDUCTION if name.startswith("dla_") else None
    return get_model(name, include_top=False, reduction=reduction, data_format=data_format)


def _dictionary(model):
    outputs = getattr(model, "output", None)
    return outputs if isinstance(outputs, dict) else None


def _is_level(name):
    return isinstance(name, str) and name[:1] == "P" and name[1:].isdigit()


def _number(level):
    return int(level[1:])


def _check_consecutive(levels, name):
    numbers = [_number(level) for level in levels]
    if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        raise ValueError(
            "`backbone` must have consecutive feature levels ('P3', 'P4', ...), but "
            f"{name!r} has {', '.join(levels)}."
        )


def level_strides(extractor: keras.Model) -> list[int]:
    """Returns the strides of a feature extractor's levels, the finest first."""
    return [2 ** _number(level) for level in extractor.output]


def freeze(extractor: keras.Model, stages: int) -> None:
    """Freezes the first stages and the layers before them.

    Their BN then normalises with its moving statistics, even in training.

    Args:
        extractor: the model that `feature_extractor` returned; each of its levels is the end of a
            stage.
        stages: integer, 0 for none; 1 is MMDetection's default for pretrained weights.
    """
    check_choice("frozen_stages", stages, tuple(range(len(extractor.output) + 1)))
    if stages == 0:
        return
    last = list(extractor.output.values())[stages - 1]
    for layer in keras.Model(extractor.input, last).layers:
        # A layer that was loaded frozen may have parts that are not, and Keras only passes on a
        # change.
        layer.trainable = True
        layer.trainable = False
