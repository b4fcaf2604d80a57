"""The means and standard deviations by which images are normalised."""

import argparse
import math
from collections.abc import Sequence
from typing import NamedTuple

from keras_dla.cli.errors import CommandError

PRESETS = ("cifar", "imagenet", "blood_cells", "none")
# The mean and deviation of each data set's images.
OF_CLASSES = {"cifar10": "cifar", "cifar100": "cifar", "blood_cells": "blood_cells"}
# Larger numbers are on the scale on which white is 255, not 1.
LARGEST_MEAN = 1.0
LARGEST_STD = 10.0


class Statistics(NamedTuple):
    """A mean and a standard deviation per channel, on the scale on which white is 1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


def parse_numbers(text: str) -> tuple[float, ...]:
    """Parses numbers such as `"0.49,0.48,0.45"`.

    Example:
    >>> parse_numbers("0.5,0.25")
    (0.5, 0.25)
    """
    try:
        numbers = tuple(float(number) for number in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or not all(map(math.isfinite, numbers)):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a list of numbers such as 0.49,0.48,0.45"
        )
    return numbers


def add_normalization_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options for how the network's images were normalised in training."""
    group = parser.add_argument_group("how images were normalised in training")
    group.add_argument(
        "--normalize",
        choices=PRESETS,
        help="use the mean and deviation of a data set; none: pixel values stay 0 to 255",
    )
    group.add_argument(
        "--mean",
        type=parse_numbers,
        metavar="NUMBERS",
        help="subtract this mean, one number per channel on the scale where white is 1: "
        "0.5,0.5,0.5",
    )
    group.add_argument(
        "--std",
        type=parse_numbers,
        metavar="NUMBERS",
        help="divide by this standard deviation, one number per channel",
    )


def statistics(
    arguments: argparse.Namespace, channels: int, classes: str | None = None
) -> Statistics:
    """Returns the mean and deviation that the user chose.

    Args:
        arguments: namespace with `normalize`, `mean` and `std`.
        channels: integer, how many the network reads.
        classes: string, the class names that the user chose, which may name the data set; defaults
            to `None`.

    Raises:
        CommandError: when nothing or too much was chosen, or for another number of channels.
    """
    preset = arguments.normalize
    if (arguments.mean is None) != (arguments.std is None):
        raise CommandError("`--mean` and `--std` must be given together.")
    if preset and arguments.mean:
        raise CommandError("`--normalize` must not be given together with `--mean` and `--std`.")
    if arguments.mean:
        return _own(arguments.mean, arguments.std, channels)
    preset = preset or OF_CLASSES.get(classes or "")
    if preset is None:
        raise CommandError(
            "`--normalize` must say how the images were normalised in training "
            f"({', '.join(PRESETS)}), or `--mean` and `--std` must be given."
        )
    chosen = _preset(preset, channels)
    _check_channels(chosen, channels)
    return chosen


def _preset(name: str, channels: int) -> Statistics:
    from keras_dla import data

    return {
        "cifar": Statistics(data.CIFAR_MEAN, data.CIFAR_STD),
        "imagenet": Statistics(data.IMAGENET_MEAN, data.IMAGENET_STD),
        "blood_cells": Statistics(data.BLOOD_CELL_MEAN, data.BLOOD_CELL_STD),
        "none": Statistics((0.0,) * channels, (1 / 255,) * channels),
    }[name]


def _own(mean: tuple[float, ...], std: tuple[float, ...], channels: int) -> Statistics:
    chosen = Statistics(mean, std)
    _check_channels(chosen, channels)
    if not all(abs(number) <= LARGEST_MEAN for number in mean):
        raise CommandError(
            f"`--mean` must be on the scale where white is 1, but is {_listed(mean)}."
        )
    if not all(0 < number <= LARGEST_STD for number in std):
        raise CommandError(
            f"`--std` must be positive and on the scale where white is 1, but is {_listed(std)}."
        )
    return chosen


def _check_channels(chosen: Statistics, channels: int) -> None:
    if not len(chosen.mean) == len(chosen.std) == channels:
        raise CommandError(
            f"`--mean` and `--std` must have one number per channel of the network ({channels}), "
            f"but have {len(chosen.mean)} and {len(chosen.std)}."
        )


def _listed(numbers: Sequence[float]) -> str:
    return ",".join(f"{number:g}" for number in numbers)
