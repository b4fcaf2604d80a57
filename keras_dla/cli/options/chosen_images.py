"""The images that a command uses: those given, or test images of the network's data set."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from keras_dla.cli.errors import CommandError
from keras_dla.cli.options.class_names import number_of_classes
from keras_dla.cli.options.files import file_argument
from keras_dla.cli.options.image_files import image_paths, read_image
from keras_dla.cli.options.image_size import SIZE_HELP, ImageInput, image_input, parse_size
from keras_dla.cli.options.normalization import add_normalization_options, statistics
from keras_dla.cli.terminal import tell
from keras_dla.utils.names import CIFAR_CLASSES

if TYPE_CHECKING:
    import keras
    import numpy as np

# The data set that networks with this number of classes are trained on here.
DATASETS = {3: "blood_cells", **{count: name for name, count in CIFAR_CLASSES.items()}}
TEXT = """\
Without images of your own, test images of the network's data set are used: CIFAR-10 or CIFAR-100
(from --data-dir, or downloaded) or the bundled blood cells, depending on the number of classes.
"""


class ChosenImages(NamedTuple):
    """Images to show, and the same images as the networks read them.

    Args:
        names: list of strings, a name per image.
        pixels: uint8 array, `[batch, height, width, channels]`.
        inputs: float32 array, normalised, in the networks' data format.
    """

    names: list[str]
    pixels: "np.ndarray"
    inputs: "np.ndarray"


def add_choice_options(parser: argparse.ArgumentParser, most: int) -> None:
    """Adds the options for the number of images, their size, source and normalisation.

    Args:
        parser: `argparse.ArgumentParser`.
        most: integer, how many images are taken unless the user gives a number.
    """
    parser.add_argument(
        "--most",
        type=int,
        default=most,
        metavar="N",
        help=f"largest number of images (default: {most})",
    )
    parser.add_argument("--size", type=parse_size, metavar="SIZE", help=SIZE_HELP)
    parser.add_argument(
        "--crop", action="store_true", help="crop the centre instead of changing the aspect ratio"
    )
    file_argument(
        parser,
        "--data-dir",
        folder=True,
        metavar="DIR",
        help="folder in which tensorflow-datasets has prepared the test images (default: download "
        "them)",
    )
    add_normalization_options(parser)


def choose_images(
    arguments: argparse.Namespace, models: Sequence["keras.Model"], given: Sequence[str]
) -> ChosenImages:
    """Returns the first of the given images, or of the networks' data set.

    Args:
        arguments: namespace with the options that `add_choice_options` adds.
        models: sequence of networks, which must read images of the same size.
        given: sequence of strings, files of images and folders of them; empty for test images.

    Raises:
        CommandError: when an image cannot be read, or the networks read images of different sizes.
    """
    import numpy as np

    from keras_dla.data.normalization import normalize, scale_and_shift

    if arguments.most < 1:
        raise CommandError(f"`--most` must be at least 1, but is {arguments.most}.")
    wanted = _common_input(models, arguments.size)
    dataset = None
    if given:
        paths = image_paths(given)[: arguments.most]
        names = [path.name for path in paths]
        pixels = np.stack([read_image(str(path), wanted, arguments.crop) for path in paths])
    else:
        dataset, pixels = _test_images(models[0], wanted, arguments.most, arguments.data_dir)
        names = [f"{dataset} {number}" for number in range(1, len(pixels) + 1)]
    named = getattr(arguments, "classes", None)
    scale, shift = scale_and_shift(*statistics(arguments, wanted.channels, dataset or named))
    return ChosenImages(names, pixels, normalize(pixels, scale, shift, wanted.data_format))


def _common_input(models: Sequence["keras.Model"], size: tuple[int, int] | None) -> ImageInput:
    inputs = [image_input(model, size) for model in models]
    for model, other in zip(models, inputs, strict=True):
        if other != inputs[0]:
            raise CommandError(
                f"the networks must read images of the same shape, but {models[0].name} reads "
                f"{inputs[0].shape} and {model.name} {other.shape}."
            )
    return inputs[0]


def _test_images(
    model: "keras.Model", wanted: ImageInput, most: int, data_dir: str | None
) -> tuple[str, Any]:
    from keras_dla import data

    classes = number_of_classes(model)
    dataset = DATASETS.get(classes)
    if dataset is None or (wanted.height, wanted.width, wanted.channels) != (32, 32, 3):
        raise CommandError(
            f"images must be given, because no data set with test images has the {classes} "
            f"classes and the {wanted.height}x{wanted.width} images of {model.name}."
        )
    tell(f"Reading test images of {dataset} ...")
    folder = None if data_dir is None else Path(data_dir)
    if dataset == "blood_cells":
        _, (images, _) = data.load_blood_cells()
    else:
        _, (images, _) = data.load_cifar_arrays(dataset, data_dir=folder)
    return dataset, images[:most]
