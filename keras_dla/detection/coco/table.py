"""The figures of `evaluate_coco` as a table."""

from keras_dla.utils.text_table import as_text

PRECISIONS = ("AP", "AP50", "AP75", "AP_S", "AP_M", "AP_L")
RECALLS = ("AR1", "AR10", "AR100", "AR_S", "AR_M", "AR_L")
OF_CLASS = ("AP", "AP50", "AR100")


def coco_table(figures: dict[str, float]) -> str:
    """Returns COCO's metrics of boxes, and of masks if there are any, as a table.

    The average recalls, if they are known, are below the average precisions.

    Args:
        figures: dictionary that `keras_dla.detection.evaluate_coco` returned.

    Returns:
        A string of several lines.

    Example:
    >>> from keras_dla.detection import coco_table
    >>> names = ("AP", "AP50", "AP75", "AP_S", "AP_M", "AP_L")
    >>> print(coco_table(dict.fromkeys(names, 0.5) | {"AP_L": -1}))
              AP   AP50   AP75   AP_S   AP_M  AP_L
    ----------------------------------------------
    boxes  0.500  0.500  0.500  0.500  0.500     -
    """
    tables = [_table(figures, PRECISIONS)]
    if "AR100" in figures:
        tables.append(_table(figures, RECALLS))
    return "\n".join(tables)


def _table(figures, names):
    rows = [
        (kind, *(figure_text(figures[prefix + name]) for name in names))
        for kind, prefix in measured(figures).items()
    ]
    return as_text(("", *names), rows, left=1)


def coco_table_by_class(figures: dict[str, float], class_names: list[str]) -> str:
    """Returns AP, AP50 and, if it is known, AR100 of every class as a table.

    Args:
        figures: dictionary that `keras_dla.detection.evaluate_coco(..., by_class=True)` returned.
        class_names: the names of the classes.

    Returns:
        A string of several lines.

    Example:
    >>> from keras_dla.detection import coco_table_by_class
    >>> print(coco_table_by_class({"AP of cell": 0.5, "AP50 of cell": 0.75}, ["cell"]))
    class     AP   AP50
    -------------------
    cell   0.500  0.750
    """
    columns = [prefix + name for prefix in measured(figures).values() for name in OF_CLASS]
    columns = [name for name in columns if f"{name} of {class_names[0]}" in figures]
    rows = [
        (name, *(figure_text(figures[f"{column} of {name}"]) for column in columns))
        for name in class_names
    ]
    return as_text(("class", *(column.replace("_", " ") for column in columns)), rows, left=1)


def measured(figures: dict[str, float]) -> dict[str, str]:
    """Returns what was measured (boxes, masks), each with the prefix of its figures' names."""
    return {"boxes": "", "masks": "mask_"} if "mask_AP" in figures else {"boxes": ""}


def figure_text(figure: float) -> str:
    """Returns a figure with three digits, or a dash for -1: there are no objects."""
    return "-" if figure < 0 else f"{figure:.3f}"
