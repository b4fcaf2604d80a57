"""Plots images with their true and predicted classes."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_dla.analysis.plots.figures import (
    check_one_per_image,
    check_shown_images,
    name_of_class,
    new_figure,
    save_figure,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 6
# Vermilion of Okabe and Ito's colour-blind safe palette.
WRONG = "#d55e00"


def plot_predictions(
    images: np.ndarray,
    predictions: np.ndarray,
    path: str | os.PathLike | None = None,
    *,
    labels: np.ndarray,
    class_names: Sequence[str] | None = None,
    title: str | None = None,
) -> "Figure":
    """Draws images with their true and predicted class; wrong predictions have a frame.

    Args:
        images: array, `[batch, height, width, channels]` with 1 or 3 channels, uint8, or floats
            from 0 to 1.
        predictions: array, the predicted classes as integers `[batch]`, or probabilities
            `[batch, classes]`.
        path: path, the file to write, completely or not at all; its ending names the format
            (`.png`, `.pdf`, `.svg`); defaults to `None`, which writes nothing.
        labels: array, integers `[batch]`, the true classes.
        class_names: sequence of strings, the name of each class; defaults to `None`, their numbers.
        title: string, the title above the images; defaults to `None`.

    Returns:
        A `matplotlib.figure.Figure` without a window.

    Raises:
        ValueError: when the arrays do not fit each other, or the folder of `path` does not exist.
        ImportError: when matplotlib is not installed.

    Example:
    >>> import numpy as np
    >>> from keras_dla.analysis import plot_predictions
    >>> images, probabilities = np.zeros((2, 8, 8, 3), "uint8"), [[0.1, 0.9], [0.8, 0.2]]
    >>> names = ["cat", "dog"]
    >>> figure = plot_predictions(images, probabilities, labels=[1, 1], class_names=names)
    >>> print(figure.axes[1].get_title())
    true: dog
    predicted: cat
    """
    images, labels, predictions = map(np.asarray, (images, labels, predictions))
    check_shown_images(images)
    if predictions.ndim == 2:
        predictions = predictions.argmax(axis=-1)
    check_one_per_image("predictions", predictions.size, images)
    check_one_per_image("labels", labels.size, images)
    rows = -(-len(images) // COLUMNS)
    figure = new_figure("plot_predictions", 2 * COLUMNS, 2.4 * rows, path, title)
    axes = list(figure.subplots(rows, COLUMNS, squeeze=False).flat)
    for index, (axis, image) in enumerate(zip(axes, images, strict=False)):
        _draw(axis, image, int(labels[index]), int(predictions[index]), class_names)
    for axis in axes[len(images) :]:
        axis.set_axis_off()
    return save_figure(figure, path)


def _draw(axis, image, label: int, prediction: int, class_names) -> None:
    axis.imshow(image, cmap="gray")
    axis.set(xticks=[], yticks=[])
    true, predicted = (name_of_class(number, class_names) for number in (label, prediction))
    text = f"true: {true}\npredicted: {predicted}"
    if label == prediction:
        axis.set_title(text, fontsize=9)
        axis.spines[:].set_visible(False)
    else:
        axis.set_title(text, fontsize=9, fontweight="bold", color=WRONG)
        axis.spines[:].set(linewidth=4, color=WRONG)
