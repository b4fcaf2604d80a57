"""Reads images from files, upright and in 8 bits, and resizes them, with Pillow."""

import io
import os
import struct
from typing import Any, NamedTuple

import numpy as np

from keras_dla.utils.optional_imports import import_for

# The usual formats of photographs. For some of Pillow's other formats it starts a program.
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
# EXIF's tag for the orientation of the camera, and TIFF's for the largest value of a pixel.
_ORIENTATION, _MAX_SAMPLE_VALUE = 274, 281
# The orientations that swap height and width; the others are their own inverses.
_SIDEWAYS = (5, 6, 7, 8)
_OPPOSITE = {6: 8, 8: 6}


class ImageHeader(NamedTuple):
    """The header of an image file.

    Args:
        height: integer, the number of rows as they are stored.
        width: integer, the number of columns as they are stored.
        orientation: integer, EXIF's, from 1 (the first pixel is at the upper left) to 8.
    """

    height: int
    width: int
    orientation: int

    @property
    def seen(self) -> tuple[int, int]:
        """The height and width of the upright image, as viewers show it."""
        if self.orientation in _SIDEWAYS:
            return self.width, self.height
        return self.height, self.width


def read_image(
    file: str | os.PathLike | bytes, name: str | None = None, as_stored: bool = False
) -> np.ndarray:
    """Reads an image of any colour mode as upright RGB; an alpha channel is dropped.

    Photographs are rotated by their EXIF orientation, as viewers do. Of 16 bits per pixel the upper
    8 are kept, and values from 0 to 1 become 0 to 255.

    Args:
        file: path of the file, or its contents as bytes.
        name: string, its name in errors; defaults to the path.
        as_stored: boolean, whether to leave the pixels as they are stored, whatever the EXIF
            orientation; defaults to False.

    Returns:
        A uint8 array `(height, width, 3)`.

    Raises:
        ValueError: when it is not an image or is damaged, or when its pixels have more than 8 bits
            and the value of white is unknown.
        ImportError: when Pillow is not installed.

    Example:
    >>> from keras_dla.data import read_image
    >>> read_image(b"P6 2 1 255 " + bytes(6)).shape
    (1, 2, 3)
    """
    with _Opened(file, name) as image:
        orientation = _orientation(image)
        deep = image.mode == "F" or image.mode.startswith("I")
        pixels = np.array(image if deep else image.convert("RGB"))
        largest = largest_value(image)
        # Pillow rotates a TIFF while it reads the pixels, and removes the tag.
        left = _orientation(image)
    if deep:
        grey = eight_bits(pixels, largest, _name_of(file, name))
        pixels = np.repeat(grey[:, :, None], 3, axis=2)
    if not as_stored:
        return _turned(pixels, left)
    return (
        pixels if left == orientation else _turned(pixels, _OPPOSITE.get(orientation, orientation))
    )


def read_header(file: str | os.PathLike | bytes, name: str | None = None) -> ImageHeader:
    """Returns the size and orientation of an image without reading its pixels.

    Args:
        file: path of the file, or its contents as bytes.
        name: string, its name in errors; defaults to the path.
    """
    with _Opened(file, name) as image:
        orientation = _orientation(image)
        if orientation == 1 or image.format != "TIFF":
            return ImageHeader(image.height, image.width, orientation)
        # Whether and when Pillow rotates a TIFF depends on its version.
        image.load()
        if _orientation(image) == orientation or orientation not in _SIDEWAYS:
            return ImageHeader(image.height, image.width, orientation)
        return ImageHeader(image.width, image.height, orientation)


def _orientation(image) -> int:
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # A photograph with damaged EXIF data can still be used.
        return 1
    return orientation if orientation in range(1, 9) else 1


def _turned(pixels, orientation):
    """Returns stored pixels `(height, width, channels)` rotated upright."""
    if orientation in (5, 7):
        pixels = pixels.swapaxes(0, 1)
    quarters = {3: 2, 4: 2, 6: -1, 7: 2, 8: 1}.get(orientation, 0)
    pixels = np.rot90(pixels, quarters)
    if orientation in (2, 4):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def largest_value(image: Any) -> int | None:
    """Returns a TIFF's largest pixel value according to its tag; `None` without the tag."""
    values = getattr(image, "tag_v2", {}).get(_MAX_SAMPLE_VALUE)
    return int(np.max(values)) if values else None


def eight_bits(pixels: np.ndarray, largest: int | None, name: str) -> np.ndarray:
    """Converts grey values of more than 8 bits to uint8.

    Args:
        pixels: array of integers or of decimal fractions.
        largest: integer, the value of white; `None` where the file does not tell.
        name: string, the image's name for an error.

    Raises:
        ValueError: when the values do not tell which one is white.
    """
    low, high = (float(pixels.min()), float(pixels.max())) if pixels.size else (0.0, 0.0)
    if pixels.dtype.kind == "f":
        if not (low >= 0 and high <= 1):
            raise _unclear(name, f"decimal fractions from {low:g} to {high:g}", "from 0 to 1")
        return np.round(pixels * 255).astype("uint8")
    if largest is not None and low >= 0 and high <= largest:
        return np.round(pixels * (255 / largest)).astype("uint8")
    # Less than 12 bits are used: the image would be nearly black if white were 65535.
    if low < 0 or high >= 1 << 16 or 0 < high < 1 << 12:
        raise _unclear(name, f"whole numbers from {low:g} to {high:g}", "16 bits, up to 65535")
    return (pixels >> 8).astype("uint8")


def _unclear(name, values, wanted):
    return ValueError(
        f"the image file {name!r} must have 8 bits per channel, or pixels {wanted}, but has "
        f"{values}, of which white is unknown: save it with 8 bits."
    )


def resize_image(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes an image bilinearly, with antialiasing if it becomes smaller.

    Args:
        image: uint8 array `(rows, columns, 3)`.
        height: integer, of the result.
        width: integer, of the result.

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


def _name_of(file, name):
    if name is None:
        return "in memory" if isinstance(file, bytes) else str(file)
    return name


class _Opened:
    """Opens an image with Pillow, and raises one sentence if something is wrong with it."""

    def __init__(self, file, name):
        self._pillow = import_for("CocoSource", "PIL.Image", extra="detection")
        self._file = io.BytesIO(file) if isinstance(file, bytes) else file
        self._name = _name_of(file, name)

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
        return ValueError(f"the image file {self._name!r} cannot be read by Pillow: {error}")
