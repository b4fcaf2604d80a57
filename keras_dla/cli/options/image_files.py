"""Images from files, as a network reads them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_dla.cli.errors import CommandError

if TYPE_CHECKING:
    import numpy as np

    from keras_dla.cli.options.image_size import ImageInput

# Pillow reads more formats, but some of those run other programs (EPS) or are little tested.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm")
MODES = {1: "L", 3: "RGB"}


def import_pillow() -> tuple[Any, Any]:
    """Returns Pillow's modules `Image` and `ImageOps`.

    Raises:
        CommandError: when Pillow is not installed.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise CommandError("reading images needs Pillow: pip install 'keras-dla[plot]'") from error
    return Image, ImageOps


def image_paths(given: Sequence[str]) -> list[Path]:
    """Returns the image files in the order given; those of a folder are sorted by name.

    Args:
        given: sequence of strings, files and folders.

    Raises:
        CommandError: when there is no such file, or a folder contains no image.
    """
    paths: list[Path] = []
    for path in map(Path, given):
        if path.is_dir():
            inside = [p for p in sorted(path.iterdir()) if p.suffix.lower() in SUFFIXES]
            if not inside:
                raise CommandError(f"there is no image in the folder {path}.")
            paths += inside
        elif path.is_file():
            paths.append(path)
        else:
            raise CommandError(f"there is no image {path}.")
    return paths


def read_image(path: str, wanted: "ImageInput", crop: bool = False) -> "np.ndarray":
    """Reads an image in the size and colours that a network expects.

    It is turned upright by its EXIF orientation, and resized bilinearly.

    Args:
        path: string, a PNG, JPEG, BMP, GIF, WebP, TIFF or PPM file; the first frame is read, and
            the higher 8 of 16 bits per channel.
        wanted: `ImageInput` of known height and width.
        crop: boolean, whether to crop both sides equally instead of changing the aspect ratio;
            defaults to `False`.

    Returns:
        A uint8 array `[height, width, channels]`.

    Raises:
        CommandError: when the file cannot be read as such an image.
    """
    image_module, ops = import_pillow()
    import numpy as np

    # Damaged and hostile files raise many kinds of errors in Pillow, which all mean the same here.
    try:
        with image_module.open(path, formats=FORMATS) as opened:
            image = _with_8_bits(opened, path, image_module)
            image = ops.exif_transpose(image).convert(MODES[wanted.channels])
    except CommandError:
        raise
    except image_module.DecompressionBombError as error:
        most = 2 * image_module.MAX_IMAGE_PIXELS // 10**6
        raise CommandError(
            f"{path} is too large: an image must have at most {most} million pixels."
        ) from error
    except Exception as error:
        raise CommandError(f"{path} cannot be read as an image ({', '.join(FORMATS)}).") from error
    size, method = (wanted.width, wanted.height), image_module.Resampling.BILINEAR
    image = ops.fit(image, size, method) if crop else image.resize(size, method)
    pixels = np.asarray(image, "uint8")
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _with_8_bits(image: Any, path: str, image_module: Any) -> Any:
    """Returns an image with 8 bits per channel; Pillow itself would clip 16 bits at 255."""
    import numpy as np

    from keras_dla.data.images import eight_bits, largest_value

    if not image.mode.startswith(("I", "F")):
        return image
    values = np.asarray(image)
    try:
        reduced = image_module.fromarray(eight_bits(values, largest_value(image), path))
    except ValueError as error:
        raise CommandError(str(error)) from error
    reduced.info = image.info  # the EXIF orientation
    return reduced
