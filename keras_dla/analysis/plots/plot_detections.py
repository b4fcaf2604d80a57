"""Plots images with their detections."""

import os
from collections.abc import Mapping, Sequence
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
from keras_dla.detection.coco.mask_pasting import paste_mask
from keras_dla.utils.palette import DARK, PALETTE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 3
PANEL = 4.5  # inches
MASK_ALPHA = 0.45


def plot_detections(
    images: np.ndarray,
    detections: Mapping[str, np.ndarray],
    path: str | os.PathLike | None = None,
    *,
    targets: Mapping[str, np.ndarray] | None = None,
    class_names: Sequence[str] | None = None,
    threshold: float = 0.5,
    sizes: np.ndarray | None = None,
    title: str | None = None,
) -> "Figure":
    """Draws images with a frame, the class and the score of every detection.

    Each class has a colour, in which a detection's mask, if it has one, covers the image. Targets,
    if they are given, have dashed white frames.

    Args:
        images: array, `[batch, height, width, channels]` with 1 or 3 channels, uint8, or floats
            from 0 to 1.
        detections: dictionary as a detector's `predict_on_batch` returns it: `"boxes"`
            `[batch, detections, 4]` as (x1, y1, x2, y2) in pixels of `images`, `"scores"` and
            `"classes"` `[batch, detections]`, with class -1 for no detection, and optionally
            `"masks"` `[batch, detections, rows, columns]` from 0 to 1 inside the box.
        path: path, the file to write, completely or not at all; its ending names the format
            (`.png`, `.pdf`, `.svg`); defaults to `None`, which writes nothing.
        targets: dictionary of `"boxes"` `[batch, objects, 4]` and `"classes"` `[batch, objects]`,
            with class -1 for no object; defaults to `None`, no targets.
        class_names: sequence of strings, the name of each class; defaults to `None`, their numbers.
        threshold: float, the lowest score of a detection that is drawn; defaults to 0.5.
        sizes: array, integers `[batch, 2]`, the height and width in pixels of each image inside its
            padding, which is then not shown; defaults to `None`, for images without padding.
        title: string, the title above the images; defaults to `None`.

    Returns:
        A `matplotlib.figure.Figure` without a window.

    Raises:
        ValueError: when the arrays do not fit each other, or the folder of `path` does not exist.
        ImportError: when matplotlib is not installed.

    Example:
    >>> import numpy as np
    >>> from keras_dla.analysis import plot_detections
    >>> found = {"boxes": np.array([[[2, 2, 6, 7.0]]]), "scores": np.array([[0.9]])}
    >>> found["classes"] = np.array([[1]])
    >>> figure = plot_detections(np.zeros((1, 8, 8, 3)), found, class_names=["cat", "dog"])
    >>> figure.axes[0].texts[0].get_text()
    'dog 0.90'
    """
    images = np.asarray(images)
    found = {name: np.asarray(values) for name, values in detections.items()}
    wanted = {name: np.asarray(values) for name, values in (targets or {}).items()}
    shown = [images.shape[1:3]] * len(images) if sizes is None else np.asarray(sizes).tolist()
    _check(images, found, wanted, shown)
    columns = min(COLUMNS, len(images))
    rows = -(-len(images) // columns)
    height, width = np.max(shown, axis=0)
    panel = PANEL * np.clip(height / width, 0.3, 3)
    figure = new_figure("plot_detections", PANEL * columns, panel * rows, path, title)
    axes = image_sheet(figure, rows, columns)
    for index, (axis, size) in enumerate(zip(axes, shown, strict=False)):
        image = images[index, : size[0], : size[1]]
        axis.imshow(image if image.shape[-1] == 3 else image[..., 0], cmap="gray")
        _draw_targets(axis, {name: values[index] for name, values in wanted.items()})
        of_image = {name: values[index] for name, values in found.items()}
        _draw_detections(axis, image.shape[:2], of_image, class_names, threshold)
        axis.set(xlim=(-0.5, size[1] - 0.5), ylim=(size[0] - 0.5, -0.5))
    return save_figure(figure, path)


def _check(images, detections, targets, sizes) -> None:
    check_shown_images(images)
    for name, given, keys in (
        ("detections", detections, ("boxes", "scores", "classes")),
        ("targets", targets, ("boxes", "classes") if targets else ()),
    ):
        if set(keys) - set(given):
            raise ValueError(
                f"`{name}` must have {', '.join(map(repr, keys))}, but has {sorted(given)}."
            )
        for key in keys:
            check_one_per_image(f"{name}[{key!r}]", len(given[key]), images)
    check_one_per_image("sizes", len(sizes), images)


def _draw_targets(axis, wanted) -> None:
    for index in np.flatnonzero(wanted.get("classes", np.empty(0)) >= 0):
        _frame(axis, wanted["boxes"][index], "white", linestyle=(0, (4, 3)), linewidth=1)


def _draw_detections(axis, size, found, class_names, threshold: float) -> None:
    drawn = np.flatnonzero((found["classes"] >= 0) & (found["scores"] >= threshold))
    # The best last, so that it is on top.
    for index in drawn[::-1]:
        class_, box = int(found["classes"][index]), found["boxes"][index]
        colour = PALETTE[class_ % len(PALETTE)]
        if "masks" in found:
            _mask(axis, paste_mask(found["masks"][index], box, *size) >= 0.5, colour)
        _frame(axis, box, colour, linewidth=1.6)
        text = f"{name_of_class(class_, class_names)} {found['scores'][index]:.2f}"
        _label(axis, box, size[0], text, colour)


def _frame(axis, box, colour, linewidth, **line):
    from matplotlib.patheffects import withStroke

    x1, y1, x2, y2 = np.asarray(box, "float64") - 0.5  # a pixel's centre is a whole number here
    # A dark outline, which makes the frame visible on a background of its own colour.
    rim = withStroke(linewidth=linewidth + 1, foreground=(0, 0, 0, 0.5))
    line = {**line, "linewidth": linewidth, "path_effects": [rim]}
    axis.plot([x1, x2, x2, x1, x1], [y1, y1, y2, y2, y1], color=colour, **line)


def _mask(axis, mask, colour):
    from matplotlib.colors import to_rgba

    layer = np.zeros((*mask.shape, 4))
    layer[mask] = to_rgba(colour, MASK_ALPHA)
    axis.imshow(layer, interpolation="nearest")
    if mask.any() and min(mask.shape) > 1:
        axis.contour(np.pad(mask, 1), [0.5], colors="black", linewidths=0.8, extent=_around(mask))


def _around(mask):
    """Returns the coordinates of the first and last pixels of a mask with a border of one."""
    height, width = mask.shape
    return -1, width, -1, height


def _label(axis, box, height, text, colour):
    x1, y1 = max(float(box[0]), 0) - 0.5, max(float(box[1]), 0) - 0.5
    above = y1 > 0.05 * height
    axis.text(
        x1,
        y1,
        text,
        fontsize=7,
        color="white" if colour in DARK else "black",
        verticalalignment="bottom" if above else "top",
        bbox={"facecolor": colour, "edgecolor": "none", "pad": 1},
        clip_on=True,
        zorder=4,  # above all frames
    )
