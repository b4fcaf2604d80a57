"""Plots a detector's precision-recall curves."""

import os
from typing import TYPE_CHECKING

import numpy as np

from keras_dla.analysis.plots.figures import new_figure, save_figure
from keras_dla.detection import DetectionReport
from keras_dla.utils.palette import PALETTE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANEL = 4.5  # inches


def plot_precision_recall(
    report: DetectionReport, path: str | os.PathLike | None = None, title: str | None = None
) -> "Figure":
    """Draws the precision-recall curves for an overlap of 0.5, per class and on average.

    There is a panel for boxes, and one for masks if they are measured. The area below a class's
    curve is its AP50. With more than seven classes, their curves are grey and only the mean is
    labelled.

    Args:
        report: `keras_dla.detection.DetectionReport`.
        path: path, the file to write, completely or not at all; its ending names the format
            (`.png`, `.pdf`, `.svg`); defaults to `None`, which writes nothing.
        title: string, the title of the figure; defaults to `None`.

    Returns:
        A `matplotlib.figure.Figure` without a window.

    Raises:
        ValueError: when the folder of `path` does not exist.
        ImportError: when matplotlib is not installed.

    Example:
    >>> import numpy as np
    >>> from keras_dla.analysis import plot_precision_recall
    >>> from keras_dla.detection import DetectionReport
    >>> curves = {"boxes": np.full((10, 101, 1), 0.75)}
    >>> report = DetectionReport({}, ("cat",), np.linspace(0, 1, 101), curves, np.empty(0), 0.5)
    >>> [line.get_label() for line in plot_precision_recall(report).axes[0].lines]
    ['cat 0.750', 'mean 0.750']
    """
    panels = report.precisions
    figure = new_figure("plot_precision_recall", PANEL * len(panels), PANEL, path, title)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (kind, precisions) in zip(axes, panels.items(), strict=True):
        _draw(axis, report, np.asarray(precisions)[0].T)
        label = f"recall of {kind} with an overlap of 0.5"
        axis.set(xlabel=label, ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
        if axis.lines:
            axis.legend(title="AP50", fontsize=8, loc="lower left")
    return save_figure(figure, path)


def _draw(axis, report, curves):
    """Draws curves `[classes, recalls]`; a class without objects, marked by -1, has none."""
    known = [n for n, curve in enumerate(curves) if curve.max(initial=-1) > -1]
    few = len(curves) <= len(PALETTE)
    for number in known:
        curve = curves[number]
        label = f"{report.class_names[number]} {curve.mean():.3f}" if few else None
        colour = PALETTE[number] if few else "lightgrey"
        axis.plot(report.recalls, curve, color=colour, label=label, linewidth=1.5 if few else 0.7)
    if known:
        mean = curves[known].mean(axis=0)
        label = f"mean {mean.mean():.3f}"
        axis.plot(report.recalls, mean, color="black", label=label, linewidth=2)
