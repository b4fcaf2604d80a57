"""Checks of arguments that the data sets have in common."""

import operator

import keras
import numpy as np


def check_count(name: str, value, minimum: int) -> int:
    """Returns `value` as an int; raises `ValueError` if it is not one of at least `minimum`."""
    try:
        count = operator.index(value)
    except TypeError:
        count = None
    if count is None or isinstance(value, bool) or count < minimum:
        raise ValueError(f"`{name}` must be an integer of at least {minimum}. Received: {value!r}")
    return count


def check_choice(name: str, value, choices: tuple) -> str:
    """Returns `value`; raises `ValueError` if it is none of `choices`."""
    if value not in choices:
        allowed = " or ".join(repr(choice) for choice in choices)
        raise ValueError(f"`{name}` must be {allowed}. Received: {value!r}")
    return value


def check_data_format(data_format) -> str:
    """Returns `data_format`, or Keras's own where it is `None`."""
    if data_format is None:
        return keras.config.image_data_format()
    return check_choice("data_format", data_format, ("channels_last", "channels_first"))


def check_images_and_labels(images, labels, names=("images", "labels")) -> None:
    """Raises `ValueError` unless these are uint8 images with an integer label each."""
    images_name, labels_name = names
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 4:
        raise ValueError(
            f"`{images_name}` must be a uint8 array of shape (images, height, width, channels). "
            f"Received: {_describe(images)}"
        )
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise ValueError(
            f"`{labels_name}` must be an integer array of shape (images,). "
            f"Received: {_describe(labels)}"
        )
    if len(images) != len(labels) or len(images) == 0:
        raise ValueError(
            f"`{images_name}` and `{labels_name}` must have the same length, at least 1. "
            f"Received: {len(images)} images and {len(labels)} labels"
        )


def _describe(value) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of dtype {value.dtype} and shape {value.shape}"
    return f"{type(value).__name__}"
