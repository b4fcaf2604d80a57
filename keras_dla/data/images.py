"""Images read from files and resized, by Pillow."""

import io
import os
import struct

import numpy as np

from keras_dla.utils.optional_imports import import_for

# The formats of photographs. Pillow knows others, some of which start a program to draw them.
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP")


def read_image(file: str | os.PathLike | bytes, name: str | None = None) -> np.ndarray:
    """Reads an image of any colour mode as RGB; an alpha channel is dropped.

    Args:
        file: Path of the file, or its contents.
        name: str, what to call it in an error; the path by default.

    Returns:
        uint8 array `(height, width, 3)`.

    Raises:
        ValueError: If it is no image, or a broken one.
        ImportError: If Pillow is not installed.
    """
    with _Opened(file, name) as image:
        if image.mode.startswith("I"):
            # 16 bits a pixel, which Pillow would cut off at 255.
            grey = np.clip(np.asarray(image) >> 8, 0, 255).astype("uint8")
            return np.repeat(grey[:, :, None], 3, axis=2)
        return np.array(image.convert("RGB"))


def image_size(file: str | os.PathLike | bytes, name: str | None = None) -> tuple[int, int]:
    """The height and width of an image, of which only the header is read; see `read_image`."""
    with _Opened(file, name) as image:
        return image.height, image.width


def resize_image(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes an image bilinearly; where it becomes smaller, each pixel averages what it covers.

    Args:
        image: uint8 array `(rows, columns, 3)`.
        height: int, of the result.
        width: int, of the result.

    Returns:
        uint8 array `(height, width, 3)`; `image` itself if it has this size.

    Raises:
        ImportError: If Pillow is not installed and the size differs.

    Example:
    >>> resize_image(np.full((4, 6, 3), 7, "uint8"), height=4, width=6).shape
    (4, 6, 3)
    """
    if image.shape[:2] == (height, width):
        return image
    pillow = import_for("DetectionDataset", "PIL.Image", extra="detection")
    resized = pillow.fromarray(np.ascontiguousarray(image))
    return np.asarray(resized.resize((width, height), pillow.Resampling.BILINEAR))


class _Opened:
    """Opens an image with Pillow, and says in one sentence what is wrong with it."""

    def __init__(self, file, name):
        self._pillow = import_for("CocoSource", "PIL.Image", extra="detection")
        self._file = io.BytesIO(file) if isinstance(file, bytes) else file
        self._name = str(file) if name is None else name

    def __enter__(self):
        try:
            self._image = self._pillow.open(self._file, formats=_FORMATS)
        except Exception as error:
            raise self._sentence(error) from error
        return self._image

    def __exit__(self, kind, error, trace):
        self._image.close()
        if isinstance(error, (OSError, SyntaxError, ValueError, struct.error)):
            raise self._sentence(error) from error

    def _sentence(self, error):
        return ValueError(f"the image file {self._name!r} is no image that Pillow reads: {error}")
