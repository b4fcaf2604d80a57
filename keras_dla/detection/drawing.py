"""Draws boxes, masks and names on the original photograph."""

from typing import TYPE_CHECKING

import numpy as np

from keras_dla.utils.optional_imports import import_for
from keras_dla.utils.palette import DARK, PALETTE

if TYPE_CHECKING:
    from keras_dla.detection.detect import Detections

MASK_ALPHA = 0.45


def draw_detections(pixels: np.ndarray, found: "Detections") -> np.ndarray:
    """Returns a copy of an image with a frame, the class and the score of every detection.

    Each class has a colour, in which a detection's mask, if it has one, covers the image.

    Args:
        pixels: uint8 array, `[height, width, 3]`.
        found: `Detections` in it, from `keras_dla.detection.detect`.

    Returns:
        A uint8 array of the shape of `pixels`.

    Raises:
        ImportError: when Pillow is not installed.

    Example:
    >>> import numpy as np
    >>> from keras_dla.detection import Detections, draw_detections
    >>> boxes, classes = np.array([[4.0, 8.0, 20.0, 30.0]]), np.array([1])
    >>> found = Detections(boxes, np.array([0.9]), classes, ["cat"], None, (32, 48))
    >>> draw_detections(np.zeros((32, 48, 3), "uint8"), found).shape
    (32, 48, 3)
    """
    pillow, draw, font = (
        import_for("draw_detections", f"PIL.{name}", extra="detection")
        for name in ("Image", "ImageDraw", "ImageFont")
    )
    pixels = pixels.copy()
    if found.masks is not None:
        for mask, number in zip(found.masks, found.classes, strict=True):
            _tint(pixels, mask, _colour(number))
    image = pillow.fromarray(pixels)
    pen = draw.Draw(image)
    width = max(2, round(min(found.size) / 250))
    letters = font.load_default(max(11, round(min(found.size) / 40)))
    # The best last, so that it is on top.
    for index in range(len(found))[::-1]:
        colour = _colour(found.classes[index])
        box = [float(edge) for edge in found.boxes[index]]
        pen.rectangle(box, outline=colour, width=width)
        _label(pen, box, f"{found.names[index]} {found.scores[index]:.2f}", colour, letters)
    return np.asarray(image)


def _colour(number):
    return PALETTE[int(number) % len(PALETTE)]


def _tint(pixels, mask, colour):
    paint = np.array([int(colour[n : n + 2], 16) for n in (1, 3, 5)])
    pixels[mask] = np.round((1 - MASK_ALPHA) * pixels[mask] + MASK_ALPHA * paint)


def _label(pen, box, text, colour, letters):
    left, top, right, bottom = pen.textbbox((0, 0), text, font=letters)
    height = bottom - top + 4
    x, y = box[0], box[1] - height if box[1] >= height else box[1]
    pen.rectangle([x, y, x + right - left + 4, y + height], fill=colour)
    ink = "white" if colour in DARK else "black"
    pen.text((x + 2 - left, y + 2 - top), text, fill=ink, font=letters)
