"""Plots attention scores, as in Figure 2 of the paper."""

import os
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from keras_dla.analysis.attention_scores import AttentionScores
from keras_dla.analysis.plots.figures import new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Scores: TypeAlias = Mapping[str, np.ndarray]

PANEL = 3.0  # inches
LABELS = 0.5  # inches below the panels
# Up to this number of layers, the numbers fit into their cells.
NUMBERED = 6
TICKS = 10
APPROXIMATE = (
    "* Light form, an approximation: its layers read the block's shortcut, or a convolution of "
    "their memory,\nbut these scores assume a running map."
)


class Panel(NamedTuple):
    """One stage of the plot.

    Args:
        title: string.
        mean: array, `[layers, layers]`, NaN above the diagonal.
    """

    title: str
    mean: np.ndarray


def plot_attention(
    scores: Scores | Mapping[str, Scores],
    path: str | os.PathLike | None = None,
    *,
    title: str | None = None,
    cmap: str = "cividis",
) -> "Figure":
    """Draws the scores averaged over images and heads, one panel per stage.

    A row is a query layer, a column a key layer; the cells above the diagonal stay blank, because a
    layer cannot read later layers. All panels share one colour scale. For DLA-B, whose values are
    scaled, the scores are drawn times these scales (`AttentionScores.weights`). Stages of the light
    form whose scores are an approximation are marked with a star, which a note below explains.

    Args:
        scores: the result of `attention_scores`; or a dictionary of several, such as `{"static":
            scores, "dynamic": others}`, which are drawn side by side, one row per stage. Plain
            dictionaries of arrays are drawn as they are.
        path: path, the file to write, completely or not at all; its ending names the format
            (`.png`, `.pdf`, `.svg`); defaults to `None`, which writes nothing.
        title: string, the title above the panels; defaults to `None`.
        cmap: string, the name of matplotlib's colour map; defaults to `"cividis"`, which is also
            readable in black and white and with colour blindness.

    Returns:
        A `matplotlib.figure.Figure` without a window.

    Raises:
        ValueError: when `scores` is empty or contains an array of another shape, or the folder of
            `path` does not exist.
        ImportError: when matplotlib is not installed.

    Source:
        Figure 2 of https://arxiv.org/abs/2406.13392

    Example:
    >>> import numpy as np
    >>> from keras_dla.analysis import plot_attention
    >>> scores = {"stage1_interaction": np.tri(3).reshape(1, 1, 3, 3)}
    >>> figure = plot_attention(scores, title="scores")
    >>> figure.axes[0].get_title()
    'stage 1'
    """
    groups = _groups(scores)
    panels = _panels(groups)
    rows, columns = panels.shape
    width, height = PANEL * columns + 1, PANEL * rows + LABELS
    figure = new_figure("plot_attention", width, height, path, title)
    axes = figure.subplots(rows, columns, squeeze=False)
    limits = _limits(panels)
    for axis, panel in zip(axes.flat, panels.flat, strict=True):
        if panel is None:
            axis.set_axis_off()
        else:
            drawn = _draw(axis, panel, cmap, limits)
    _label_edges(axes)
    label = f"{_what(groups.values())}\n(mean over images and heads)"
    figure.colorbar(drawn, ax=axes, pad=0.02, label=label)
    if any(_approximate(stages) for stages in groups.values()):
        figure.supxlabel(APPROXIMATE, fontsize=8)
    return save_figure(figure, path)


def _groups(scores) -> dict[str, Scores]:
    """Returns the dictionaries of stages by the name of their group."""
    _check_dictionary("`scores` is", scores)
    if not any(isinstance(value, Mapping) for value in scores.values()):
        return {"": scores}
    for group, stages in scores.items():
        _check_dictionary(f"{group!r} is", stages)
    return {f"{group}: ": stages for group, stages in scores.items()}


def _check_dictionary(subject: str, stages: object) -> None:
    if not isinstance(stages, Mapping) or not stages:
        kind = "empty" if isinstance(stages, Mapping) else type(stages).__name__
        raise ValueError(
            "`scores` must be the result of `attention_scores`, or a dictionary of several, but "
            f"{subject} {kind}."
        )


def _panels(groups: Mapping[str, Scores]) -> np.ndarray:
    """Returns the grid of `Panel`s, with `None` where there is none."""
    grid = _grid([_stage_panels(stages, prefix) for prefix, stages in groups.items()])
    return grid if len(groups) == 1 and "" in groups else grid.T


def _stage_panels(stages: Scores, prefix: str) -> list[Panel]:
    weights = stages.weights if isinstance(stages, AttentionScores) else stages
    stars = {name: " *" for name in _approximate(stages)}
    return [
        Panel(prefix + readable_stage(name) + stars.get(name, ""), _mean(name, array))
        for name, array in weights.items()
    ]


def _approximate(stages: Scores) -> frozenset[str]:
    return stages.approximate if isinstance(stages, AttentionScores) else frozenset()


def _what(groups: Iterable[Scores]) -> str:
    """Returns the label of the colours: scores, or scores times the scales of the values."""
    scaled = any(isinstance(stages, AttentionScores) and stages.refreshed for stages in groups)
    return "attention score × scale of the values" if scaled else "attention score"


def readable_stage(name: str) -> str:
    """Returns the builders' names of stages as words; other names are not changed.

    Example:
    >>> readable_stage("stage3_interaction"), readable_stage("mine")
    ('stage 3', 'mine')
    """
    return re.sub(r"^stage(\d+)_interaction$", r"stage \1", name)


def _grid(rows: list[list[Panel]]) -> np.ndarray:
    grid = np.full((len(rows), max(map(len, rows))), None, dtype=object)
    for place, row in enumerate(rows):
        for column, panel in enumerate(row):
            grid[place, column] = panel
    return grid


def _mean(name: str, array: np.ndarray) -> np.ndarray:
    """Returns the mean over images and heads, with NaN above the diagonal."""
    array = np.asarray(array)
    if array.ndim != 4 or array.shape[2] != array.shape[3] or not array.size:
        raise ValueError(
            f"`scores` must contain arrays of shape (batch, heads, layers, layers), but {name!r} "
            f"has shape {array.shape}."
        )
    mean = array.astype("float64").mean(axis=(0, 1))
    return np.where(np.tri(len(mean), dtype=bool), mean, np.nan)


def _limits(panels: np.ndarray) -> tuple[float, float]:
    """Returns limits that include zero, so that "no attention" always looks the same."""
    values = [panel.mean for panel in panels.flat if panel is not None]
    lowest, highest = min(map(np.nanmin, values)), max(map(np.nanmax, values))
    return min(0.0, float(lowest)), max(0.0, float(highest))


def _draw(axis, panel: Panel, cmap: str, limits):
    layers = len(panel.mean)
    # The edges of the cells are chosen so that a layer's number is its coordinate.
    edges = (0.5, layers + 0.5, layers + 0.5, 0.5)
    image = axis.imshow(panel.mean, cmap=cmap, vmin=limits[0], vmax=limits[1], extent=edges)
    ticks = range(1, layers + 1, -(-layers // TICKS))
    axis.set(title=panel.title, xticks=ticks, yticks=ticks)
    axis.spines[["top", "right"]].set_visible(False)
    if layers <= NUMBERED:
        _write_numbers(axis, image, panel.mean)
    return image


def _write_numbers(axis, image, mean: np.ndarray) -> None:
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


def _label_edges(axes) -> None:
    for axis in axes[-1]:
        axis.set_xlabel("key layer")
    for axis in axes[:, 0]:
        axis.set_ylabel("query layer")
