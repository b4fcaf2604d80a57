"""Plots accuracy over depth, as in Figure 4 of the paper."""

import os
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from keras_dla.analysis.paper.published_accuracy import published_accuracy
from keras_dla.analysis.paper.published_costs import LABELS
from keras_dla.analysis.plots.figures import new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Curves = Mapping[str, Mapping[int, Sequence[float]]]

TITLES = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}


def plot_depths(
    accuracies: Mapping[str, Curves],
    path: str | os.PathLike | None = None,
    *,
    title: str | None = None,
    published: bool = True,
) -> "Figure":
    """Draws test accuracy over depth, one panel per data set and one line per interaction.

    A point is the mean of its runs, a bar their standard deviation. An interaction has the same
    colour in all panels, and the legend is below them.

    Args:
        accuracies: nested dictionary from data set, interaction and depth to the accuracies of the
            runs, in percent. A unit other than the interaction's default is appended, as in
            `"dla_l-lstm"`.
        path: path, the file to write, completely or not at all; its ending names the format
            (`.png`, `.pdf`, `.svg`); defaults to `None`, which writes nothing.
        title: string, the title above the panels; defaults to `None`.
        published: boolean, whether to draw the paper's accuracies of the same networks as dotted
            lines; defaults to `True`.

    Returns:
        A `matplotlib.figure.Figure` without a window.

    Raises:
        ValueError: when there is nothing to draw, or the folder of `path` does not exist.
        ImportError: when matplotlib is not installed.

    Source:
        Figure 4 of https://arxiv.org/abs/2406.13392

    Example:
    >>> from keras_dla.analysis import plot_depths
    >>> figure = plot_depths({"cifar100": {"dla_l": {20: [72.1, 72.4], 56: [75.5]}}})
    >>> figure.axes[0].get_title()
    'CIFAR-100'
    """
    if not any(any(curves.values()) for curves in accuracies.values()):
        raise ValueError("`accuracies` must have at least one depth, but is empty.")
    figure = new_figure("plot_depths", 5 * len(accuracies), 4.4, path, title)
    axes = figure.subplots(1, len(accuracies), squeeze=False).flat
    colours = _colours(accuracies)
    for axis, (dataset, curves) in zip(axes, accuracies.items(), strict=True):
        _draw_panel(axis, dataset, curves, colours, published)
    lines = {line.get_label(): line for axis in figure.axes for line in _labelled(axis)}
    figure.legend(list(lines.values()), list(lines), loc="outside lower center", ncols=3)
    return save_figure(figure, path)


def _colours(accuracies) -> dict[str, str]:
    """Returns a colour per interaction, the same in all panels."""
    names = dict.fromkeys(name for curves in accuracies.values() for name in curves)
    return {name: f"C{number % 10}" for number, name in enumerate(names)}


def _labelled(axis) -> list:
    handles, _ = axis.get_legend_handles_labels()
    return handles


def _draw_panel(axis, dataset: str, curves: Curves, colours, published: bool) -> None:
    ticks = sorted({depth for points in curves.values() for depth in points})
    for interaction, points in curves.items():
        depths, colour = sorted(points), colours[interaction]
        means = [statistics.mean(points[depth]) for depth in depths]
        bars = [_deviation(points[depth]) for depth in depths]
        style = {"marker": "o", "capsize": 3, "color": colour, "label": _label(interaction)}
        axis.errorbar(depths, means, yerr=bars, **style)
        if published:
            _draw_published(axis, dataset, interaction, depths, colour)
    axis.set(xticks=ticks, xlabel="depth", ylabel="test accuracy (%)")
    axis.set_title(TITLES.get(dataset, dataset))


def _draw_published(axis, dataset: str, interaction: str, depths, colour: str) -> None:
    name, _, unit = interaction.partition("-")
    printed = {d: published_accuracy(f"{name}_{d}", dataset, unit or None) for d in depths}
    known = {depth: float(value.mean) for depth, value in printed.items() if value}
    if known:
        label = f"{_label(interaction)}, published"
        axis.plot(list(known), list(known.values()), ":", marker="x", color=colour, label=label)


def _label(interaction: str) -> str:
    name, _, unit = interaction.partition("-")
    label = LABELS.get(name, name)
    return f"{label} ({unit.upper()})" if unit else label


def _deviation(values: Sequence[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0
