"""Networks given by name or as `.keras` files."""

import argparse
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_dla.cli.errors import CommandError, as_sentence
from keras_dla.cli.terminal import tell
from keras_dla.utils.names import FORMULATIONS, IMAGENET_DEPTHS, INTERACTIONS, PLAIN, UNITS

if TYPE_CHECKING:
    import keras

# The arguments of an option `--formulation`.
FORMULATION: dict[str, Any] = {
    "choices": FORMULATIONS,
    "help": "the authors' network (official, the default), Eq. 1-9 of the paper (paper), or the "
    "authors' code including its batch-index slip (verbatim)",
}


def add_network_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that choose the form of a network given by name."""
    group = parser.add_argument_group("options of a network given by name")
    group.add_argument("--formulation", **FORMULATION)
    group.add_argument(
        "--unit",
        choices=UNITS,
        help="the recurrent unit, see Tables 4 to 6 (default: dsu for dla_b and dla_l, dia for "
        "dianet)",
    )
    group.add_argument(
        "--reduction",
        type=int,
        metavar="R",
        help="reduction r of the recurrent unit (default: the authors' value)",
    )


def network_arguments(arguments: argparse.Namespace) -> dict[str, Any]:
    """Returns the arguments of `get_model` that the user gave."""
    names = ("classes", "formulation", "unit", "reduction")
    return {n: getattr(arguments, n) for n in names if getattr(arguments, n) is not None}


def check_name(option: str, name: str, imports: Sequence[str] = (), cifar: bool = False) -> None:
    """Checks a network's name before anything is imported or built.

    Args:
        option: string, the option by which the name was given.
        name: string, an interaction and a depth.
        imports: sequence of strings, files that may name further interactions; defaults to none.
        cifar: boolean, whether the network must be one for CIFAR; defaults to `False`.

    Raises:
        CommandError: when there is no such network.
    """
    interaction, _, depth = name.rpartition("_")
    known = interaction in (PLAIN, *INTERACTIONS) or (imports and interaction)
    if not known or not (depth.isascii() and depth.isdigit()):
        raise CommandError(
            f"{option} must be one of {', '.join((PLAIN, *INTERACTIONS))} followed by a depth, "
            f"such as dla_l_56, but is {name}."
        )
    number = int(depth)
    is_cifar = number > 2 and number % 9 == 2 and number not in IMAGENET_DEPTHS
    if cifar and not is_cifar:
        raise CommandError(
            f"{option} must be a CIFAR network, with depth 9n + 2 (20, 56, 110, 164, ... except "
            f"101), but is {name}."
        )
    if not is_cifar and number not in IMAGENET_DEPTHS:
        raise CommandError(
            f"{option} must have a depth of {', '.join(map(str, IMAGENET_DEPTHS))} (ImageNet) or "
            f"9n + 2 (CIFAR: 20, 56, 110, 164, ...), but is {name}."
        )


def is_file_name(name: str) -> bool:
    """Returns whether `name` means a file and not a network."""
    return "." in name or "/" in name or "\\" in name


def load_network(path: str) -> "keras.Model":
    """Loads a `.keras` file without running code that it may contain.

    Args:
        path: string, the file.

    Raises:
        CommandError: when there is no such file, or it cannot be loaded.
    """
    if Path(path).suffix != ".keras":
        raise CommandError(f"the file of a network must end in .keras, but is {path}.")
    if not Path(path).is_file():
        raise CommandError(f"there is no file {path}.")
    if not zipfile.is_zipfile(path):
        raise CommandError(f"{path} is damaged or not a .keras file, which is a zip archive.")
    tell(f"Loading {path} ...")
    from keras_dla.models.loading import load_model

    try:
        return load_model(path, compile=False)
    except ValueError as error:
        typed = {"path": "the file", "custom_objects": "--import"}
        raise CommandError(as_sentence(error, typed)) from error
