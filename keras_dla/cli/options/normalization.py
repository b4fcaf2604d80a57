"""The means and deviations by which pictures are normalised."""

import argparse
from typing import NamedTuple

from keras_dla.cli.errors import CommandError

# Of ImageNet's training pictures, as networks for it are commonly trained.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
PRESETS = ("cifar", "imagenet", "blood_cells", "none")
# What the pictures of a data set are normalised by.
OF_CLASSES = {"cifar10": "cifar", "cifar100": "cifar", "blood_cells": "blood_cells"}


class Statistics(NamedTuple):
    """A mean and a deviation for every channel, where white is 1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


def parse_numbers(text: str) -> tuple[float, ...]:
    """Returns the numbers of `"0.49,0.48,0.45"`.

    Example:
    >>> parse_numbers("0.5,0.25")
    (0.5, 0.25)
    """
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a list of numbers such as 0.49,0.48,0.45"
        ) from error


def add_normalization_options(parser) -> None:
    """Adds what says how the network's pictures were normalised in training."""
    group = parser.add_argument_group("how the pictures were normalised in training")
    group.add_argument(
        "--normalize",
        choices=PRESETS,
        help="by a data set's mean and deviation; none: values stay 0 to 255",
    )
    group.add_argument(
        "--mean",
        type=parse_numbers,
        metavar="NUMBERS",
        help="by a mean of your own, a number a channel: 0.5,0.5,0.5",
    )
    group.add_argument(
        "--std", type=parse_numbers, metavar="NUMBERS", help="and a deviation, where white is 1"
    )


def statistics(arguments, channels: int, classes: str | None = None) -> Statistics:
    """Returns the mean and deviation that the person chose.

    Args:
        arguments: with `normalize`, `mean` and `std`.
        channels: integer, how many the network reads.
        classes: the names of classes that the person chose, which tell the data set.

    Raises:
        CommandError: if the choice is none, or two, or has another number of channels.
    """
    preset = arguments.normalize
    if (arguments.mean is None) != (arguments.std is None):
        raise CommandError("`--mean` and `--std` must be given together.")
    if preset and arguments.mean:
        raise CommandError("`--normalize` must not be given together with `--mean` and `--std`.")
    if arguments.mean:
        chosen = Statistics(arguments.mean, arguments.std)
    else:
        preset = preset or OF_CLASSES.get(classes)
        if preset is None:
            raise CommandError(
                f"`--normalize` must say how the pictures were normalised in training: "
                f"{', '.join(PRESETS)}, or `--mean` and `--std`."
            )
        chosen = _preset(preset, channels)
    return _checked(chosen, channels)


def _preset(name, channels):
    from keras_dla.data import BLOOD_CELL_MEAN, BLOOD_CELL_STD, CIFAR_MEAN, CIFAR_STD

    return {
        "cifar": Statistics(CIFAR_MEAN, CIFAR_STD),
        "imagenet": Statistics(IMAGENET_MEAN, IMAGENET_STD),
        "blood_cells": Statistics(BLOOD_CELL_MEAN, BLOOD_CELL_STD),
        "none": Statistics((0.0,) * channels, (1 / 255,) * channels),
    }[name]


def _checked(chosen, channels):
    if not len(chosen.mean) == len(chosen.std) == channels:
        raise CommandError(
            f"the mean and the deviation must have a number for each of the network's {channels} "
            f"channels, but have {len(chosen.mean)} and {len(chosen.std)}."
        )
    if not all(deviation > 0 for deviation in chosen.std):
        raise CommandError(f"`--std` must be positive, but is {chosen.std}.")
    return chosen
