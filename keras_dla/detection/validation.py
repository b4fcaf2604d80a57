"""Checks of a detector's arguments: one sentence with name, value and what is allowed."""

import math
import operator
from collections.abc import Sequence
from typing import Any, cast

from keras_dla.utils.types import Tensor
from keras_dla.utils.validation import is_integer

INPUTS = ("images", "sizes")
SHAPES = {
    "boxes": "(batch, objects, 4)",
    "classes": "(batch, objects)",
    "masks": "(batch, objects, side, side)",
}


def check_positive_number(name: str, value: object) -> None:
    """Raises `ValueError` unless `value` is a finite number above 0."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and 0 < float(value) < math.inf):  # type: ignore[arg-type]
        raise ValueError(f"`{name}` must be a positive number, but is {value!r}.")


def check_fraction(name: str, value: float) -> None:
    """Raises `ValueError` unless `value` is a number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"`{name}` must be a number from 0 to 1, but is {value!r}.")


def check_window(name: str, value: object) -> None:
    """Raises `ValueError` unless `value` is an integer of at least 2 or `None`."""
    if value is not None and (not is_integer(value) or operator.index(cast(Any, value)) < 2):
        raise ValueError(f"`{name}` must be an integer of at least 2 or None, but is {value!r}.")


def names_of(dataset: object) -> list[str] | None:
    """Returns the names of a data set's classes; `None` if they are unknown."""
    return getattr(getattr(dataset, "source", None), "class_names", None)


def check_classes(
    count: int | None, class_names: Sequence[str] | None, name: str, dataset: object
) -> None:
    """Raises `ValueError` if a detector does not have the classes of a data set.

    Args:
        count: integer, the number of the detector's classes, or `None` if it is unknown.
        class_names: sequence of strings, their names, or `None` if they are unknown.
        name: string, the name of the caller's argument.
        dataset: `keras_dla.data.DetectionDataset`; other kinds are not checked.
    """
    names = names_of(dataset)
    if names is None:
        return
    if class_names is not None:
        unknown = [each for each in names if each not in class_names]
        if unknown:
            raise ValueError(
                f"`{name}` must only have classes of the detector, {list(class_names)}, but has "
                f"{unknown}; `model.class_names = None` removes the names."
            )
    elif count is not None and len(names) != count:
        raise ValueError(
            f"`{name}` must have as many classes as the detector, {count}, but has {len(names)}."
        )


def checked_class_names(names: Sequence[str] | None, count: int) -> tuple[str, ...] | None:
    """Returns the names as a tuple; raises `ValueError` unless there is one per class."""
    if names is None:
        return None
    are_names = not isinstance(names, str) and all(isinstance(each, str) for each in names)
    if not are_names or len(names) != count or len(set(names)) != count:
        raise ValueError(
            f"`class_names` must be {count} different names, one per class, but is {names!r}."
        )
    return tuple(names)


def check_inputs(name: str, x: object) -> None:
    """Raises `ValueError` unless `x` is a dictionary of images and their sizes."""
    _check_entries(name, x, INPUTS)


def check_batch(x: Tensor, y: Tensor, names: tuple[str, ...]) -> None:
    """Raises `ValueError` unless a detector can be trained on `x` and `y`.

    Args:
        x: the images and their sizes, which should be a dictionary.
        y: the targets, which should be a dictionary.
        names: the targets that the detector needs, among `"boxes"`, `"classes"` and `"masks"`.
    """
    _check_entries("x", x, INPUTS)
    hint = " (`DetectionDataset` makes masks with `mask_size`)" if "masks" in names else ""
    _check_entries("y", y, names, hint)
    shapes = {name: tuple(y[name].shape) for name in names}
    for name, shape in shapes.items():
        if not _fits(name, shape):
            raise ValueError(f"`y[{name!r}]` must have the shape {SHAPES[name]}, but has {shape}.")
    if len({shape[1] for shape in shapes.values()} - {None}) > 1:
        raise ValueError(
            f"`y` must have the same number of objects in every entry, but has {shapes}."
        )


def _check_entries(name, given, wanted, hint=""):
    if not isinstance(given, dict):
        has = f"is {'None' if given is None else type(given).__name__}"
    elif set(wanted) - set(given):
        has = f"has {_listed(given) or 'nothing'}"
    else:
        return
    raise ValueError(f"`{name}` must be a dictionary of {_listed(wanted)}{hint}, but {has}.")


def _listed(names):
    return ", ".join(repr(name) for name in names)


def _fits(name, shape):
    if name == "boxes":
        return len(shape) == 3 and shape[2] == 4
    if name == "masks":
        return len(shape) == 4 and shape[2] == shape[3]
    return len(shape) == 2
