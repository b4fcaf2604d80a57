"""Image options of a command, and the batches that a network reads."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from keras_dla.cli.options.files import file_argument
from keras_dla.cli.options.image_files import read_image
from keras_dla.cli.options.image_size import SIZE_HELP, ImageInput, parse_size
from keras_dla.cli.options.normalization import Statistics, add_normalization_options

if TYPE_CHECKING:
    import numpy as np


def add_image_options(parser: argparse.ArgumentParser) -> argparse.Action:
    """Adds the network, the images and their options; returns the argument of the images."""
    file_argument(parser, "file", metavar="FILE", help="the network, a .keras file")
    images = file_argument(
        parser,
        "images",
        nargs="+",
        metavar="IMAGE",
        help="images (PNG, JPEG, BMP, GIF, WebP, TIFF, PPM), or folders of them",
    )
    parser.add_argument("--size", type=parse_size, metavar="SIZE", help=SIZE_HELP)
    parser.add_argument(
        "--crop", action="store_true", help="crop the centre instead of changing the aspect ratio"
    )
    add_normalization_options(parser)
    return images


def batches(
    paths: Sequence[Path], wanted: ImageInput, chosen: Statistics, crop: bool
) -> Iterator["np.ndarray"]:
    """Yields a normalised batch of one image per path, in the network's data format.

    Args:
        paths: sequence of paths, the images' files.
        wanted: `ImageInput` of known height and width.
        chosen: `Statistics` to normalise by.
        crop: boolean, whether to crop instead of changing the aspect ratio.
    """
    from keras_dla.data.normalization import normalize, scale_and_shift

    scale, shift = scale_and_shift(*chosen)
    for path in paths:
        image = read_image(str(path), wanted, crop)[None]
        yield normalize(image, scale, shift, wanted.data_format)
