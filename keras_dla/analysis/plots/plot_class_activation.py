"""Class activation maps laid over their pictures."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_dla.analysis.plots.figures import new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 6
# How the eye weighs red, green and blue (ITU-R BT.601).
LUMA = np.array([0.299, 0.587, 0.114])


def plot_class_activation(
    images: np.ndarray,
    maps: np.ndarray,
    classes: np.ndarray | None = None,
    class_names: Sequence[str] | None = None,
    path: str | os.PathLike | None = None,
    title: str | None = None,
    cmap: str = "viridis",
) -> "Figure":
    """Draws every picture, and below it the same in grey under the colours of its map.

    A line runs round the places where the map is at least half its largest entry.

    Args:
        images: `[batch, height, width, channels]` with 1 or 3 channels, uint8, or floats from 0
            to 1.
        maps: `[batch, height, width]` from 0 to 1, what `class_activation_maps` returned.
        classes: optional, integers `[batch]`, the class that each map is of.
        class_names: optional, the name of each class; by default its number.
        path: optional, a file to write; its ending names the format (`.png`, `.pdf`, `.svg`).
            It is written as a whole or not at all.
        title: optional, a line above the pictures.
        cmap: the name of matplotlib's colour map. The default reads the same in black and white
            and with colour blindness.

    Returns:
        A `matplotlib.figure.Figure`, which belongs to no window.

    Raises:
        ValueError: if the arrays do not fit each other, or the folder of `path` does not exist.
        ImportError: if matplotlib is not installed.

    Example:

        maps = keras_dla.analysis.class_activation_maps(model, normalised, classes=labels)
        keras_dla.analysis.plot_class_activation(images, maps, labels, names, "maps.png")
    """
    images, maps = np.asarray(images), np.asarray(maps)
    names = _names(classes, class_names, len(images))
    _check(images, maps, names)
    columns = min(COLUMNS, len(images))
    rows = -(-len(images) // columns)
    figure = new_figure("plot_class_activation", 2 * columns + 1, 4.3 * rows + 0.5 * bool(title))
    axes = figure.subplots(2 * rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for index, picture in enumerate(zip(images, maps, names, strict=True)):
        row, column = divmod(index, columns)
        shown = _draw(axes[2 * row : 2 * row + 2, column], *picture, cmap)
    figure.colorbar(shown, ax=axes, pad=0.02, label="class activation (1 = the image's largest)")
    if title:
        figure.suptitle(title)
    if path is not None:
        save_figure(figure, path)
    return figure


def _names(classes, class_names, batch):
    if classes is None:
        return [""] * batch
    classes = np.asarray(classes).tolist()
    return [f"class {c}" if class_names is None else class_names[c] for c in classes]


def _check(images, maps, names):
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or not len(images):
        raise ValueError(
            f"`images` must have shape (batch, height, width, channels) with 1 or 3 channels and "
            f"at least one image, but has {images.shape}."
        )
    if maps.shape != images.shape[:3]:
        raise ValueError(f"`maps` must have shape {images.shape[:3]}, but has {maps.shape}.")
    if len(names) != len(images):
        raise ValueError(
            f"`classes` must have a length of {len(images)}, one for an image, "
            f"but has {len(names)}."
        )


def _draw(axes, image, scores, name, cmap):
    grey = image @ LUMA if image.shape[-1] == 3 else image[..., 0]
    white = 255 if image.dtype == np.uint8 else 1
    top, below = axes
    top.set_title(name, fontsize=9)
    top.imshow(image if image.shape[-1] == 3 else grey, cmap="gray", vmin=0, vmax=white)
    below.imshow(grey, cmap="gray", vmin=0, vmax=white)
    shown = below.imshow(scores, cmap=cmap, vmin=0, vmax=1, alpha=0.6)
    if scores.max() > 0.5 and min(scores.shape) > 1:
        below.contour(scores, levels=[0.5], colors="white", linewidths=1)
    return shown
