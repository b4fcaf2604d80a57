"""Accuracy over depth: Figure 4 of the paper."""

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
    title: str | None = None,
    published: bool = True,
) -> "Figure":
    """Draws test accuracy over depth, one panel a data set and one line an interaction.

    A point is the mean of its runs, a bar the standard deviation of several runs.

    Args:
        accuracies: for each data set, for each interaction, for each depth the accuracies of
            the runs, in percent. A unit other than the interaction's own stands behind it, as
            in `"dla_l-lstm"`.
        path: optional, a file to write; its ending names the format (`.png`, `.pdf`, `.svg`).
            It is written as a whole or not at all.
        title: optional, a line above the panels.
        published: whether to draw the paper's figures for the same networks, dotted.

    Returns:
        A `matplotlib.figure.Figure`, which belongs to no window.

    Raises:
        ValueError: if there is nothing to draw, or the folder of `path` does not exist.
        ImportError: if matplotlib is not installed.

    Example:

        plot_depths({"cifar100": {"dla_l": {20: [72.1, 72.4], 56: [75.5]}}}, "figure4.png")
    """
    if not any(any(curves.values()) for curves in accuracies.values()):
        raise ValueError("`accuracies` must have at least one depth, but is empty.")
    figure = new_figure("plot_depths", 5 * len(accuracies), 4)
    for axis, (dataset, curves) in zip(
        figure.subplots(1, len(accuracies), squeeze=False).flat, accuracies.items(), strict=True
    ):
        _draw_panel(axis, dataset, curves, published)
    if title:
        figure.suptitle(title)
    if path is not None:
        save_figure(figure, path)
    return figure


def _draw_panel(axis, dataset, curves, published):
    ticks = sorted({depth for points in curves.values() for depth in points})
    for interaction, points in curves.items():
        name = _label(interaction)
        depths = sorted(points)
        means = [statistics.mean(points[depth]) for depth in depths]
        bars = [_deviation(points[depth]) for depth in depths]
        line = axis.errorbar(depths, means, yerr=bars, marker="o", capsize=3, label=name)
        if published:
            _draw_published(axis, dataset, interaction, depths, line[0].get_color())
    axis.set(xticks=ticks, xlabel="depth", ylabel="test accuracy (%)")
    axis.set_title(TITLES.get(dataset, dataset))
    axis.legend()


def _draw_published(axis, dataset, interaction, depths, color):
    name, _, unit = interaction.partition("-")
    printed = {d: published_accuracy(f"{name}_{d}", dataset, unit or None) for d in depths}
    known = {depth: float(value.mean) for depth, value in printed.items() if value}
    if known:
        label = f"{_label(interaction)}, published"
        axis.plot(list(known), list(known.values()), ":", marker="x", color=color, label=label)


def _label(interaction) -> str:
    name, _, unit = interaction.partition("-")
    label = LABELS.get(name, name)
    return f"{label} ({unit.upper()})" if unit else label


def _deviation(values) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0
