"""Plots a detector's confusion matrix."""

import os
from typing import TYPE_CHECKING

import numpy as np

from keras_dla.analysis.plots.figures import new_figure, save_figure
from keras_dla.detection import DetectionReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOTHING = "nothing"
# With more cells than this, the counts would not be legible.
MOST_NUMBERS = 16


def plot_confusion(
    report: DetectionReport, path: str | os.PathLike | None = None, title: str | None = None
) -> "Figure":
    """Draws a detector's confusion matrix: rows are true classes, columns detected classes.

    The colour of a cell is its share of the row; the numbers are counts. The last column shows
    objects that were missed, the last row detections without an object.

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
    >>> from keras_dla.analysis import plot_confusion
    >>> from keras_dla.detection import DetectionReport
    >>> counts = np.array([[8, 1, 1], [0, 4, 0], [2, 0, 0]])
    >>> report = DetectionReport({}, ("cat", "dog"), np.empty(0), {}, counts, 0.5)
    >>> [label.get_text() for label in plot_confusion(report).axes[0].get_xticklabels()]
    ['cat', 'dog', 'nothing']
    """
    names = [*report.class_names, NOTHING]
    side = 2.5 + 0.45 * len(names)
    figure = new_figure("plot_confusion", side + 1, side, path, title)
    axis = figure.subplots()
    counts = np.asarray(report.confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axis, label="share of the row", shrink=0.8)
    ticks = range(len(names))
    axis.set_xticks(ticks, names, rotation=45, ha="right")
    axis.set_yticks(ticks, names)
    axis.set(xlabel=f"found, with a score of {report.score:g} or more", ylabel="there")
    if len(names) <= MOST_NUMBERS:
        for row, column in np.ndindex(*counts.shape):
            colour = "white" if shares[row, column] > 0.5 else "black"
            text = f"{counts[row, column]}"
            axis.text(column, row, text, color=colour, ha="center", va="center", fontsize=8)
    return save_figure(figure, path)
