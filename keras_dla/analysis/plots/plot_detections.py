"""Pictures with what a detector finds in them."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_dla.analysis.plots.figures import new_figure, save_figure
from keras_dla.detection.coco.mask_pasting import paste_mask

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 3
PANEL = 4.5  # inches
# The colour-blind safe palette of Okabe and Ito, without black.
PALETTE = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#d55e00", "#cc79a7", "#0072b2")
DARK = ("#009e73", "#d55e00", "#0072b2")
MASK_ALPHA = 0.45


def plot_detections(
    images: np.ndarray,
    detections: dict,
    class_names: Sequence[str] | None = None,
    path: str | os.PathLike | None = None,
    targets: dict | None = None,
    threshold: float = 0.5,
    sizes: np.ndarray | None = None,
    title: str | None = None,
) -> "Figure":
    """Draws pictures with a frame, the class and the score of every detection.

    Each class has a colour. A detection's mask, where it has one, lies over the picture in that
    colour; what is to be found, where it is given, has a dashed white frame.

    Args:
        images: `[batch, height, width, channels]` with 1 or 3 channels, uint8, or floats from 0
            to 1.
        detections: dictionary as a detector's `predict_on_batch` returns it: `"boxes"`
            `[batch, detections, 4]` as (x1, y1, x2, y2) in pixels of `images`, `"scores"` and
            `"classes"` `[batch, detections]`, with class -1 for no detection, and optionally
            `"masks"` `[batch, detections, rows, columns]` from 0 to 1 inside the box.
        class_names: optional, the name of each class; by default its number.
        path: optional, a file to write; its ending names the format (`.png`, `.pdf`, `.svg`).
            It is written as a whole or not at all.
        targets: optional, dictionary of `"boxes"` `[batch, objects, 4]` and `"classes"`
            `[batch, objects]`, with class -1 for no object.
        threshold: float, the least score of a detection that is drawn.
        sizes: optional, integers `[batch, 2]`, the height and width of each picture inside its
            padding, which is not shown then.
        title: optional, a line above the pictures.

    Returns:
        A `matplotlib.figure.Figure`, which belongs to no window.

    Raises:
        ValueError: if the arrays do not fit each other, or the folder of `path` does not exist.
        ImportError: if matplotlib is not installed.

    Example:

        x, y = dataset[0]
        images = np.clip(x["images"] * IMAGENET_STD + IMAGENET_MEAN, 0, 1)
        found = model.predict_on_batch(x)
        names = dataset.source.class_names
        plot_detections(images, found, names, "found.png", targets=y, sizes=x["sizes"])
    """
    images = np.asarray(images)
    detections = {name: np.asarray(values) for name, values in detections.items()}
    targets = {} if targets is None else {n: np.asarray(values) for n, values in targets.items()}
    _check(images, detections, targets, sizes)
    if sizes is None:
        sizes = [images.shape[1:3]] * len(images)
    columns = min(COLUMNS, len(images))
    rows = -(-len(images) // columns)
    height, width = np.max(sizes, axis=0)
    panel = PANEL * np.clip(height / width, 0.3, 3)
    figure = new_figure("plot_detections", PANEL * columns, panel * rows + 0.5 * bool(title))
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for index, (axis, size) in enumerate(zip(axes, sizes, strict=False)):
        found = {name: values[index] for name, values in detections.items()}
        wanted = {name: values[index] for name, values in targets.items()}
        _draw(axis, images[index, : size[0], : size[1]], found, wanted, class_names, threshold)
    if title:
        figure.suptitle(title)
    if path is not None:
        save_figure(figure, path)
    return figure


def _check(images, detections, targets, sizes):
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or not len(images):
        raise ValueError(
            f"`images` must have shape (batch, height, width, channels) with 1 or 3 channels and "
            f"at least one image, but has {images.shape}."
        )
    for name, given, keys in (
        ("detections", detections, ("boxes", "scores", "classes")),
        ("targets", targets, ("boxes", "classes") if targets else ()),
    ):
        if set(keys) - set(given):
            raise ValueError(
                f"`{name}` must have {', '.join(map(repr, keys))}, but has {sorted(given)}."
            )
        for key in keys:
            _check_length(f"{name}[{key!r}]", given[key], images)
    if sizes is not None:
        _check_length("sizes", np.asarray(sizes), images)


def _check_length(name, values, images):
    if len(values) != len(images):
        raise ValueError(
            f"`{name}` must have a length of {len(images)}, one for an image, "
            f"but has {len(values)}."
        )


def _draw(axis, image, found, wanted, class_names, threshold):
    height, width = image.shape[:2]
    axis.imshow(image if image.shape[-1] == 3 else image[..., 0], cmap="gray")
    for index in np.flatnonzero(wanted.get("classes", np.empty(0)) >= 0):
        _frame(axis, wanted["boxes"][index], "white", linestyle=(0, (4, 3)), linewidth=1)
    drawn = np.flatnonzero((found["classes"] >= 0) & (found["scores"] >= threshold))
    # The best last, so that it is on top.
    for index in drawn[::-1]:
        class_, box = int(found["classes"][index]), found["boxes"][index]
        colour = PALETTE[class_ % len(PALETTE)]
        if "masks" in found:
            _mask(axis, paste_mask(found["masks"][index], box, height, width) >= 0.5, colour)
        _frame(axis, box, colour, linewidth=1.6)
        name = f"class {class_}" if class_names is None else class_names[class_]
        _label(axis, box, height, f"{name} {found['scores'][index]:.2f}", colour)
    axis.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))


def _frame(axis, box, colour, linewidth, **line):
    from matplotlib.patheffects import withStroke

    x1, y1, x2, y2 = np.asarray(box, "float64") - 0.5  # a pixel's centre is a whole number here
    # A dark rim, which shows the frame on ground of its own colour.
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
    """Returns where the outermost pixels of the mask with a border of one pixel have centres."""
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
        zorder=4,  # above the frames of all
    )
