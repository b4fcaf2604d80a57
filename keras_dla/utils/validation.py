"""Checks of arguments: one sentence that names the argument, its value and what is allowed."""

import operator
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from keras_dla.utils.names import FORMULATIONS as FORMULATIONS


def check_choice(name: str, value: object, allowed: tuple) -> None:
    """Raises `ValueError` unless `value` is one of `allowed`."""
    if value not in allowed:
        choices = ", ".join(repr(choice) for choice in allowed)
        raise ValueError(f"`{name}` must be one of {choices}, but is {value!r}.")


def is_integer(value: object) -> bool:
    """Returns whether `value` is an integer, Python's or NumPy's, and not a boolean.

    Example:
    >>> import numpy as np
    >>> from keras_dla.utils.validation import is_integer
    >>> is_integer(2), is_integer(np.int64(2)), is_integer(True), is_integer(2.0)
    (True, True, False, False)
    """
    if isinstance(value, (bool, np.bool_)):
        return False
    try:
        operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return False
    return True


def check_positive_integer(name: str, value: Any) -> None:
    """Raises `ValueError` unless `value` is an integer of at least 1."""
    if not is_integer(value) or operator.index(value) < 1:
        raise ValueError(f"`{name}` must be an integer of at least 1, but is {value!r}.")


def check_rate(name: str, value: float) -> None:
    """Raises `ValueError` unless 0 <= `value` < 1."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
        raise ValueError(f"`{name}` must be at least 0 and less than 1, but is {value!r}.")


def check_reduction(reduction: int, channels: int) -> None:
    """Raises `ValueError` unless `reduction` leaves at least one of `channels` channels."""
    if reduction > channels:
        raise ValueError(
            f"`reduction` must be at most the number of channels ({channels}), but is {reduction}."
        )


def check_feature_map(name: str, shape: tuple) -> None:
    """Raises `ValueError` unless `shape` is that of a batch of feature maps."""
    if len(shape) != 4:
        raise ValueError(
            f"`{name}` must be a batch of feature maps with 4 axes, but has shape {tuple(shape)}."
        )


def sizes_fit(sizes: Iterable, others: Iterable) -> bool:
    """Returns whether sizes are equal one by one, where an unknown size (`None`) equals any."""
    sizes, others = tuple(sizes), tuple(others)
    pairs = zip(sizes, others, strict=True)
    return sizes == others or all(None in pair or pair[0] == pair[1] for pair in pairs)


def check_channels(name: str, shape: tuple, axis: int) -> int:
    """Returns the number of channels of `shape`; raises `ValueError` if it is unknown."""
    check_feature_map(name, shape)
    if shape[axis] is None:
        raise ValueError(
            f"`{name}` must have a known number of channels on axis {axis}, "
            f"but has shape {tuple(shape)}."
        )
    return shape[axis]


def standardize_data_format(data_format: str | None) -> str:
    """Returns `data_format`, or Keras's own if it is `None`."""
    if data_format is None:
        return keras.config.image_data_format()
    check_choice("data_format", data_format, ("channels_last", "channels_first"))
    return data_format
