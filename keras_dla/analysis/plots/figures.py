"""Figures without windows; matplotlib is imported when needed, and files are never half-written."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_dla.utils.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE_HEIGHT = 0.5  # inches


def new_figure(
    caller: str, width: float, height: float, path: str | os.PathLike | None, title: str | None
) -> "Figure":
    """Returns an empty figure without a window, so that there is none to close.

    Args:
        caller: string, the public function that draws.
        width: float, in inches.
        height: float, in inches, without the title.
        path: path or `None`, the file to be written, which is checked before any work.
        title: string or `None`, the title of the figure.

    Raises:
        ValueError: when the folder of `path` does not exist, or `path` is not a path.
        ImportError: when matplotlib is not installed.
    """
    _check_path(path)
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            f"keras_dla.analysis.{caller} needs matplotlib: pip install 'keras-dla[plot]' ({error})"
        ) from error
    height += TITLE_HEIGHT * bool(title)
    figure = Figure(figsize=(width, height), layout="constrained")
    if title:
        figure.suptitle(title)
    return figure


def save_figure(figure: "Figure", path: str | os.PathLike | None, dpi: int = 150) -> "Figure":
    """Writes a figure and returns it.

    Args:
        figure: `matplotlib.figure.Figure`.
        path: path or `None`; its ending names the format, PNG if there is none. `None` writes
            nothing.
        dpi: integer, dots per inch; defaults to 150.
    """
    if path is not None:
        path = Path(path)
        with replacing(path) as partial:
            figure.savefig(partial, format=path.suffix[1:] or "png", dpi=dpi)
    return figure


def _check_path(path: object) -> None:
    if path is None:
        return
    if not isinstance(path, (str, os.PathLike)):
        raise ValueError(f"`path` must be a path of a file, but is {type(path).__name__}.")
    if not Path(path).parent.is_dir():
        raise ValueError(f"`path` must be in an existing folder, but is {str(path)!r}.")


def image_sheet(figure: "Figure", rows: int, columns: int) -> "Sequence[Axes]":
    """Returns the axes of a grid of images, row by row, without frames or ticks."""
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis in axes:
        axis.set_axis_off()
    return axes


def check_shown_images(images: np.ndarray) -> None:
    """Raises `ValueError` unless `images` is a batch of grey or colour images."""
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or not len(images):
        raise ValueError(
            f"`images` must have shape (batch, height, width, channels) with 1 or 3 channels and "
            f"at least one image, but has {images.shape}."
        )


def check_one_per_image(name: str, count: int, images: np.ndarray) -> None:
    """Raises `ValueError` unless `count` is the number of images."""
    if count != len(images):
        raise ValueError(
            f"`{name}` must have a length of {len(images)}, one per image, but has {count}."
        )


def name_of_class(number: int, class_names: Sequence[str] | None) -> str:
    """Returns the name of a class, or its number if there are no names."""
    return f"class {number}" if class_names is None else class_names[number]
