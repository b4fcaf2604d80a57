"""From the files of pictures to what a network reads."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from keras_dla.cli.options.image_size import ImageInput, parse_size
from keras_dla.cli.options.images import read_image
from keras_dla.cli.options.normalization import Statistics, add_normalization_options

if TYPE_CHECKING:
    import numpy as np


def add_picture_options(parser) -> None:
    """Adds the pictures, their size and their normalisation."""
    parser.add_argument("file", metavar="FILE", help="the network, a .keras file")
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE", help="pictures: PNG, JPEG, BMP, GIF, WebP, TIFF, PPM"
    )
    parser.add_argument(
        "--size",
        type=parse_size,
        metavar="SIZE",
        help="to which pictures are resized: 224, or 224x320 (height x width); "
        "default: the network's, else 32 (CIFAR) or 224 (ImageNet)",
    )
    parser.add_argument(
        "--crop", action="store_true", help="cut the middle out of a picture, not squeeze it"
    )
    add_normalization_options(parser)


def batches(
    paths: list[str], wanted: ImageInput, chosen: Statistics, crop: bool
) -> Iterator["np.ndarray"]:
    """Yields a normalised batch of one picture for each path, in the network's data format."""
    from keras_dla.data.normalization import normalize, scale_and_shift

    scale, shift = scale_and_shift(*chosen)
    for path in paths:
        picture = read_image(path, wanted, crop)[None]
        yield normalize(picture, scale, shift, wanted.data_format)
