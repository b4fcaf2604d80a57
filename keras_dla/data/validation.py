"""Checks of arguments that the data sets share."""

import operator
from typing import Any

import numpy as np

LARGEST_LABEL = 2**31 - 1


def check_count(name: str, value: Any, minimum: int) -> int:
    """Returns `value` as an int; raises `ValueError` if it is not one of at least `minimum`."""
    try:
        count = operator.index(value)
    except TypeError:
        count = None
    if count is None or isinstance(value, bool) or count < minimum:
        raise ValueError(f"`{name}` must be an integer of at least {minimum}, but is {value!r}.")
    return count


def check_images_and_labels(
    images: np.ndarray, labels: np.ndarray, names: tuple[str, str] = ("images", "labels")
) -> None:
    """Raises `ValueError` unless these are uint8 images with one label each, at least 0."""
    images_name, labels_name = names
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 4:
        raise ValueError(
            f"`{images_name}` must be a uint8 array of shape (images, height, width, channels), "
            f"but is {_describe(images)}."
        )
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise ValueError(
            f"`{labels_name}` must be an integer array of shape (images,), "
            f"but is {_describe(labels)}."
        )
    if len(images) != len(labels) or len(images) == 0:
        raise ValueError(
            f"`{images_name}` and `{labels_name}` must have the same length, at least 1, but have "
            f"{len(images)} and {len(labels)}."
        )
    check_labels(labels, labels_name)


def check_labels(labels: np.ndarray, name: str = "labels", classes: int | None = None) -> None:
    """Raises `ValueError` unless all `labels` are indices of classes.

    Frameworks treat other labels differently: JAX continues to train, with a loss that looks good.

    Args:
        labels: integer array.
        name: string, their name in the message; defaults to `"labels"`.
        classes: integer, the number of classes; defaults to None, unknown.
    """
    largest = LARGEST_LABEL if classes is None else classes - 1
    wrong = labels[(labels < 0) | (labels > largest)]
    if len(wrong):
        raise ValueError(f"`{name}` must be integers from 0 to {largest}, but contain {wrong[0]}.")


def _describe(value) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of dtype {value.dtype} and shape {value.shape}"
    return f"{type(value).__name__}"
