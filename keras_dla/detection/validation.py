"""Checks of what a detector is given: one sentence that names it, its value and what is allowed."""

import math

INPUTS = ("images", "sizes")
SHAPES = {
    "boxes": "(batch, objects, 4)",
    "classes": "(batch, objects)",
    "masks": "(batch, objects, side, side)",
}


def check_positive_number(name: str, value: object) -> None:
    """Raises `ValueError` unless `value` is a finite number above 0."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < value < math.inf:
        raise ValueError(f"`{name}` must be a positive number, but is {value!r}.")


def check_class_count(classes: "int | None", name: str, dataset) -> None:
    """Raises `ValueError` if a data set's source has not as many classes as the detector.

    Args:
        classes: integer, the detector's classes, or `None` if it does not tell.
        name: string, what the caller's argument is called.
        dataset: `keras_dla.data.DetectionDataset`; of anything else nothing is known.
    """
    names = getattr(getattr(dataset, "source", None), "class_names", None)
    if classes is not None and names is not None and len(names) != classes:
        raise ValueError(
            f"`{name}` must have as many classes as the detector, {classes}, but has {len(names)}."
        )


def check_batch(x, y, names: tuple[str, ...]) -> None:
    """Raises `ValueError` unless a detector can be trained on `x` and `y`.

    Args:
        x: what should be a dictionary of images and their sizes.
        y: what should be a dictionary of targets.
        names: the targets that the detector needs, of `"boxes"`, `"classes"` and `"masks"`.
    """
    _check_entries("x", x, INPUTS)
    hint = " (`DetectionDataset` makes masks with `mask_size`)" if "masks" in names else ""
    _check_entries("y", y, names, hint)
    shapes = {name: tuple(y[name].shape) for name in names}
    for name, shape in shapes.items():
        if not _fits(name, shape):
            raise ValueError(f"`y[{name!r}]` must have the shape {SHAPES[name]}, but has {shape}.")
    if len({shape[1] for shape in shapes.values()} - {None}) > 1:
        raise ValueError(f"`y` must have equally many objects in every entry, but has {shapes}.")


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
