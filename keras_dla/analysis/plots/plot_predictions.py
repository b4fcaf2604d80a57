"""A sheet of pictures with what they show and what the model says."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_dla.analysis.plots.figures import new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 6
# Vermilion of the colour-blind safe palette of Okabe and Ito.
WRONG = "#d55e00"


def plot_predictions(
    images: np.ndarray,
    labels: np.ndarray,
    predictions: np.ndarray,
    class_names: Sequence[str],
    path: str | os.PathLike | None = None,
    title: str | None = None,
) -> "Figure":
    """Draws pictures with their true and predicted class; the wrong ones in a frame.

    Args:
        images: `[batch, height, width, channels]`, uint8, or floats from 0 to 1.
        labels: integers `[batch]`, the true classes.
        predictions: integers `[batch]`, the predicted classes; or probabilities
            `[batch, classes]`.
        class_names: the name of each class.
        path: optional, a file to write; its ending names the format (`.png`, `.pdf`, `.svg`).
            It is written as a whole or not at all.
        title: optional, a line above the pictures.

    Returns:
        A `matplotlib.figure.Figure`, which belongs to no window.

    Raises:
        ValueError: if the arrays do not fit each other, or the folder of `path` does not exist.
        ImportError: if matplotlib is not installed.

    Example:

        probabilities = model.predict(normalised)
        keras_dla.analysis.plot_predictions(images, labels, probabilities, names, "sheet.png")
    """
    predictions = np.asarray(predictions)
    if predictions.ndim == 2:
        predictions = predictions.argmax(axis=-1)
    images, labels = np.asarray(images), np.asarray(labels)
    if images.ndim != 4 or not len(images) == labels.size == predictions.size > 0:
        raise ValueError(
            f"`images`, `labels` and `predictions` must have an equal length of at least 1, but "
            f"have shapes {images.shape}, {labels.shape} and {predictions.shape}."
        )
    rows = -(-len(images) // COLUMNS)
    figure = new_figure("plot_predictions", 2 * COLUMNS, 2.4 * rows + 0.5 * bool(title))
    axes = figure.subplots(rows, COLUMNS, squeeze=False).flat
    for axis, *picture in zip(axes, images, labels, predictions, strict=False):
        _draw(axis, *picture, class_names)
    for axis in axes[len(images) :]:
        axis.set_axis_off()
    if title:
        figure.suptitle(title)
    if path is not None:
        save_figure(figure, path)
    return figure


def _draw(axis, image, label, prediction, class_names):
    axis.imshow(image)
    axis.set(xticks=[], yticks=[])
    text = f"true: {class_names[label]}\npredicted: {class_names[prediction]}"
    if label == prediction:
        axis.set_title(text, fontsize=9)
        axis.spines[:].set_visible(False)
    else:
        axis.set_title(text, fontsize=9, fontweight="bold", color=WRONG)
        axis.spines[:].set(linewidth=4, color=WRONG)
