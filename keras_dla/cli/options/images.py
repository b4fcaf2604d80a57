"""Pictures from files, as a network reads them."""

from pathlib import Path
from typing import TYPE_CHECKING

from keras_dla.cli.errors import CommandError

if TYPE_CHECKING:
    import numpy as np

    from keras_dla.cli.options.image_size import ImageInput

# Pillow knows more, but some of those run other programs (EPS) or have seen little use.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
MODES = {1: "L", 3: "RGB"}


def import_pillow():
    """Returns Pillow's modules `Image` and `ImageOps`; a sentence where it is missing."""
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise CommandError(
            "reading pictures needs Pillow: pip install 'keras-dla[plot]'"
        ) from error
    return Image, ImageOps


def check_pictures(paths: list[str]) -> None:
    """Raises `CommandError` for the first path where no file is."""
    for path in paths:
        if not Path(path).is_file():
            raise CommandError(f"there is no picture {path}.")


def read_image(path: str, wanted: "ImageInput", crop: bool = False) -> "np.ndarray":
    """Reads a picture in the size and colours that a network wants.

    It is turned upright if the camera noted how, and reduced or enlarged between pixels.

    Args:
        path: a PNG, JPEG, BMP, GIF, WebP, TIFF or PPM file; of several frames the first is read.
        wanted: height, width and channels.
        crop: whether to cut what is too wide or too high, the same on both sides, instead of
            squeezing the picture.

    Returns:
        A uint8 array `[height, width, channels]`.

    Raises:
        CommandError: if the file cannot be read as such a picture.
    """
    image_module, ops = import_pillow()
    import numpy as np

    # Damaged and hostile files fail in many ways inside Pillow; each means the same here.
    try:
        with image_module.open(path, formats=FORMATS) as image:
            _check_depth(image, path)
            image = ops.exif_transpose(image).convert(MODES[wanted.channels])
    except CommandError:
        raise
    except Exception as error:
        raise CommandError(f"{path} cannot be read as a picture ({', '.join(FORMATS)}).") from error
    size, method = (wanted.width, wanted.height), image_module.Resampling.BILINEAR
    image = ops.fit(image, size, method) if crop else image.resize(size, method)
    return np.asarray(image, "uint8").reshape(wanted.height, wanted.width, wanted.channels)


def _check_depth(image, path):
    # Pillow would cut their values off at 255.
    if image.mode.startswith(("I", "F")):
        raise CommandError(f"{path} must have 8 bits a channel, but has more.")
