"""The attention scores as a picture: Figure 2 of the paper."""

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from keras_dla.analysis.plots.figures import new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Scores = Mapping[str, np.ndarray]

PANEL = 3.0  # inches
# Up to so many layers the numbers fit into their cells.
NUMBERED = 6
TICKS = 10


def plot_attention(
    scores: Scores | Mapping[str, Scores],
    path: str | os.PathLike | None = None,
    title: str | None = None,
    cmap: str = "cividis",
) -> "Figure":
    """Draws the mean scores over images and heads, one panel a stage.

    A row is the layer that asks, a column the layer that it reads; the cells above the diagonal,
    which no layer can read, stay blank. All panels share one scale of colours.

    Args:
        scores: what `attention_scores` returned; or a dictionary of such, as
            `{"static": scores, "dynamic": others}`, which are drawn side by side, one row a stage.
        path: optional, a file to write; its ending names the format (`.png`, `.pdf`, `.svg`).
            It is written as a whole or not at all.
        title: optional, a line above the panels.
        cmap: the name of matplotlib's colour map. The default reads the same in black and white
            and with colour blindness.

    Returns:
        A `matplotlib.figure.Figure`, which belongs to no window.

    Raises:
        ValueError: if `scores` is empty or holds an array of another shape, or the folder of
            `path` does not exist.
        ImportError: if matplotlib is not installed.

    Example:

        scores = keras_dla.analysis.attention_scores(model, images)
        keras_dla.analysis.plot_attention(scores, "attention.png")
    """
    panels = _panels(scores)
    rows, columns = panels.shape
    figure = new_figure("plot_attention", PANEL * columns + 1, PANEL * rows + 0.5 * bool(title))
    axes = figure.subplots(rows, columns, squeeze=False)
    limits = _limits(panels)
    for axis, panel in zip(axes.flat, panels.flat, strict=True):
        if panel is None:
            axis.set_axis_off()
        else:
            image = _draw(axis, *panel, cmap, limits)
    _label_edges(axes)
    figure.colorbar(image, ax=axes, pad=0.02, label="attention score\n(mean over images and heads)")
    if title:
        figure.suptitle(title)
    if path is not None:
        save_figure(figure, path)
    return figure


def _panels(scores) -> np.ndarray:
    """Returns the grid of panels: each a title and a square array, or `None` where is none."""
    _check_dictionary("`scores` is", scores)
    if not any(isinstance(value, Mapping) for value in scores.values()):
        return _grid([_stage_panels(scores)])
    for group, stages in scores.items():
        _check_dictionary(f"{group!r} is", stages)
    groups = [_stage_panels(stages, f"{group}: ") for group, stages in scores.items()]
    return _grid(groups).T


def _check_dictionary(subject, stages):
    if not isinstance(stages, Mapping) or not stages:
        kind = "empty" if isinstance(stages, Mapping) else type(stages).__name__
        raise ValueError(
            f"`scores` must be what `attention_scores` returned, or a dictionary of such, "
            f"but {subject} {kind}."
        )


def _stage_panels(stages, prefix=""):
    return [(prefix + _readable(name), _mean(name, array)) for name, array in stages.items()]


def _readable(name):
    """The builders' names as words; a user's own name stays as it is."""
    return re.sub(r"^stage(\d+)_interaction$", r"stage \1", name)


def _grid(rows):
    grid = np.full((len(rows), max(map(len, rows))), None, dtype=object)
    for place, row in enumerate(rows):
        for column, panel in enumerate(row):
            grid[place, column] = panel
    return grid


def _mean(name, array) -> np.ndarray:
    """The mean over images and heads, with nothing (NaN) above the diagonal."""
    array = np.asarray(array)
    if array.ndim != 4 or array.shape[2] != array.shape[3] or not array.size:
        raise ValueError(
            f"`scores` must hold arrays of shape (batch, heads, layers, layers), "
            f"but {name!r} has shape {array.shape}."
        )
    mean = array.astype("float64").mean(axis=(0, 1))
    return np.where(np.tri(len(mean), dtype=bool), mean, np.nan)


def _limits(panels):
    """Zero always is on the scale, so that no attention looks the same in every picture."""
    values = [array for _, array in filter(None, panels.flat)]
    lowest, highest = min(map(np.nanmin, values)), max(map(np.nanmax, values))
    return min(0.0, float(lowest)), max(0.0, float(highest))


def _draw(axis, title, mean, cmap, limits):
    layers = len(mean)
    # The edges of the cells are such that a layer's number is its coordinate.
    edges = (0.5, layers + 0.5, layers + 0.5, 0.5)
    image = axis.imshow(mean, cmap=cmap, vmin=limits[0], vmax=limits[1], extent=edges)
    ticks = range(1, layers + 1, -(-layers // TICKS))
    axis.set(title=title, xticks=ticks, yticks=ticks)
    axis.spines[["top", "right"]].set_visible(False)
    if layers <= NUMBERED:
        _write_numbers(axis, image, mean)
    return image


def _write_numbers(axis, image, mean):
    for asking, read in zip(*np.tril_indices(len(mean)), strict=True):
        value = mean[asking, read]
        red, green, blue, _ = image.to_rgba(value)
        dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
        axis.text(
            read + 1,
            asking + 1,
            f"{value:.2f}",
            ha="center",
            va="center",
            color="white" if dark else "black",
        )


def _label_edges(axes):
    for axis in axes[-1]:
        axis.set_xlabel("layer that is read")
    for axis in axes[:, 0]:
        axis.set_ylabel("layer that asks")
