"""`keras-dla list`: the names of the networks."""

import argparse

from keras_dla.cli.command import Commands, new_command
from keras_dla.cli.errors import CommandError
from keras_dla.cli.options.files import add_json_option
from keras_dla.cli.options.imports import add_import_option
from keras_dla.cli.terminal import print_json
from keras_dla.utils.names import IMAGENET_DEPTHS, network_names

TEXT = """\
A name is an interaction and a depth: dla_l_56. Depths 9n + 2 (20, 56, 110, ...) are CIFAR networks,
including depths that are not listed; 50, 101 and 152 are ImageNet networks.

  keras-dla list                         every network of the paper
  keras-dla list dla                     those with "dla" in their name
  keras-dla list dla_ _50                those with both in their name
  keras-dla list --images imagenet
  keras-dla list --import mine.py mine   those that mine.py registers
"""


def add_parser(commands: Commands) -> None:
    """Adds the command to the program."""
    parser = new_command(commands, "list", run, "list the networks by name", TEXT)
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help="part of the name; several must all occur in it"
    )
    parser.add_argument(
        "--images", choices=("cifar", "imagenet"), help="only networks for these images"
    )
    add_import_option(parser)
    add_json_option(parser)


def run(arguments: argparse.Namespace) -> None:
    """Prints the names, one per line."""
    names = [name for name in _all_names(arguments.imports) if _is_wanted(name, arguments)]
    if not names:
        raise CommandError(
            f"no network has {' and '.join(map(repr, arguments.parts))} in its name"
            f"{f' and is for {arguments.images}' if arguments.images else ''}; "
            f"`keras-dla list` prints them all."
        )
    if arguments.json:
        print_json(names)
    else:
        print("\n".join(names))


def _all_names(imports: list[str]) -> list[str]:
    if not imports:
        return network_names()
    from keras_dla.models import list_models

    return list_models()


def _is_wanted(name: str, arguments: argparse.Namespace) -> bool:
    depth = int(name.rpartition("_")[2])
    images = "imagenet" if depth in IMAGENET_DEPTHS else "cifar"
    return arguments.images in (None, images) and all(part in name for part in arguments.parts)
