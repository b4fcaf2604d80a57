"""Plots class activation maps over their images."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_dla.analysis.plots.figures import (
    check_one_per_image,
    check_shown_images,
    image_sheet,
    name_of_class,
    new_figure,
    save_figure,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 6
# The weights of red, green and blue in luminance (ITU-R BT.601).
LUMA = np.array([0.299, 0.587, 0.114])


def plot_class_activation(
    images: np.ndarray,
    maps: np.ndarray,
    path: str | os.PathLike | None = None,
    *,
    classes: np.ndarray | None = None,
    class_names: Sequence[str] | None = None,
    title: str | None = None,
    cmap: str = "viridis",
) -> "Figure":
    """Draws every image, and below it the same image in grey under its coloured map.

    A contour surrounds the places where the map is at least half its largest entry.

    Args:
        images: array, `[batch, height, width, channels]` with 1 or 3 channels, uint8, or floats
            from 0 to 1.
        maps: array, `[batch, height, width]` from 0 to 1, the result of `class_activation_maps`.
        path: path, the file to write, completely or not at all; its ending names the format
            (`.png`, `.pdf`, `.svg`); defaults to `None`, which writes nothing.
        classes: array, integers `[batch]`, the class of each map; defaults to `None`, no class
            names.
        class_names: sequence of strings, the name of each class; defaults to `None`, their numbers.
        title: string, the title above the images; defaults to `None`.
        cmap: string, the name of matplotlib's colour map; defaults to `"viridis"`, which is also
            readable in black and white and with colour blindness.

    Returns:
        A `matplotlib.figure.Figure` without a window.

    Raises:
        ValueError: when the arrays do not fit each other, or the folder of `path` does not exist.
        ImportError: when matplotlib is not installed.

    Source:
        Grad-CAM, https://arxiv.org/abs/1610.02391

    Example:
    >>> import numpy as np
    >>> from keras_dla.analysis import plot_class_activation
    >>> images, maps = np.zeros((2, 8, 8, 3), "uint8"), np.zeros((2, 8, 8))
    >>> figure = plot_class_activation(images, maps, classes=[0, 1], class_names=["cat", "dog"])
    >>> figure.axes[0].get_title()
    'cat'
    """
    images, maps = np.asarray(images), np.asarray(maps)
    names = _names(classes, class_names, len(images))
    _check(images, maps, names)
    columns = min(COLUMNS, len(images))
    rows = -(-len(images) // columns)
    width, height = 2 * columns + 1, 4.3 * rows
    figure = new_figure("plot_class_activation", width, height, path, title)
    axes = np.array(image_sheet(figure, 2 * rows, columns)).reshape(2 * rows, columns)
    for index, (image, scores, name) in enumerate(zip(images, maps, names, strict=True)):
        row, column = divmod(index, columns)
        top, below = axes[2 * row : 2 * row + 2, column]
        top.set_title(name, fontsize=9)
        shown = _draw(top, below, image, scores, cmap)
    label = "class activation (1 = the image's largest)"
    figure.colorbar(shown, ax=list(axes.flat), pad=0.02, label=label)
    return save_figure(figure, path)


def _names(classes, class_names, batch: int) -> list[str]:
    if classes is None:
        return [""] * batch
    return [name_of_class(number, class_names) for number in np.asarray(classes).tolist()]


def _check(images, maps, names) -> None:
    check_shown_images(images)
    if maps.shape != images.shape[:3]:
        raise ValueError(f"`maps` must have shape {images.shape[:3]}, but has {maps.shape}.")
    check_one_per_image("classes", len(names), images)


def _draw(top, below, image, scores, cmap):
    grey = image @ LUMA if image.shape[-1] == 3 else image[..., 0]
    white = 255 if image.dtype == np.uint8 else 1
    top.imshow(image if image.shape[-1] == 3 else grey, cmap="gray", vmin=0, vmax=white)
    below.imshow(grey, cmap="gray", vmin=0, vmax=white)
    shown = below.imshow(scores, cmap=cmap, vmin=0, vmax=1, alpha=0.6)
    if scores.max() > 0.5 and min(scores.shape) > 1:
        below.contour(scores, levels=[0.5], colors="white", linewidths=1)
    return shown
