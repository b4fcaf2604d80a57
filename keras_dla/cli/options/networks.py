"""Networks by name, and from `.keras` files."""

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from keras_dla.cli.errors import CommandError, first_sentence
from keras_dla.utils.backends import check_keras
from keras_dla.utils.names import FORMULATIONS, UNITS

if TYPE_CHECKING:
    import keras


def add_network_options(parser) -> None:
    """Adds what says which network a name means."""
    group = parser.add_argument_group("which network the name means")
    group.add_argument(
        "--formulation",
        choices=FORMULATIONS,
        help="the authors' network (the default), Eq. 1-9, or the authors' code to the bit",
    )
    group.add_argument(
        "--unit",
        choices=UNITS,
        help="the recurrent unit of dianet, dla_b and dla_l (Tables 4 and 6)",
    )
    group.add_argument(
        "--reduction", type=int, help="r of the recurrent unit (default: the authors')"
    )


def network_arguments(arguments) -> dict:
    """Returns the arguments of `get_model` that the person gave."""
    names = ("classes", "formulation", "unit", "reduction")
    return {n: getattr(arguments, n) for n in names if getattr(arguments, n) is not None}


def is_file_name(name: str) -> bool:
    """Returns whether `name` means a file and not a network."""
    return "." in name or "/" in name or "\\" in name


def load_network(path: str) -> "keras.Model":
    """Loads a `.keras` file, without running code that it may hold.

    Raises:
        CommandError: if there is no such file, or it cannot be loaded.
    """
    if Path(path).suffix != ".keras":
        raise CommandError(f"a network's file must end in .keras, but is {path}.")
    if not Path(path).is_file():
        raise CommandError(f"there is no file {path}.")
    if not zipfile.is_zipfile(path):
        raise CommandError(f"{path} is damaged or no .keras file, which is a zip archive.")
    check_keras()
    import keras

    # A damaged or foreign file fails in many ways inside Keras; each means the same here.
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        raise CommandError(
            f"{path} cannot be loaded as a .keras file: {first_sentence(error)}"
        ) from error
