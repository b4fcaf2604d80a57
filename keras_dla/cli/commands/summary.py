"""`keras-dla summary`: the parameters and FLOPs of a network's parts."""

import argparse
import dataclasses
from typing import TYPE_CHECKING, Any

from keras_dla.cli.command import Commands, new_command, options
from keras_dla.cli.errors import CommandError
from keras_dla.cli.options.files import add_json_option
from keras_dla.cli.options.image_size import SIZE_HELP, image_input, parse_size
from keras_dla.cli.options.imports import add_import_option
from keras_dla.cli.options.networks import (
    add_network_options,
    check_name,
    is_file_name,
    load_network,
    network_arguments,
)
from keras_dla.cli.stage_table import HEADER, LEFT, has_stages, stage_rows, totals
from keras_dla.cli.terminal import print_json, print_table, tell

if TYPE_CHECKING:
    import keras

    from keras_dla.analysis import Complexity

TEXT = """\
FLOPs are multiply-adds for one image, as in Table 2 of the paper. A line "of which"
is the share of the interaction between blocks; the line above already includes it.

  keras-dla summary dla_l_56 --classes 10
  keras-dla summary dla_l_110 --unit lstm          a row of Table 4
  keras-dla summary dla_b_50 --layers              every layer and what it consists of
  keras-dla summary trained.keras --size 64 --markdown
"""


def add_parser(commands: Commands) -> None:
    """Adds the command to the program."""
    parser = new_command(
        commands,
        "summary",
        run,
        "count parameters and FLOPs, stage by stage",
        TEXT,
        typed=options("classes", "formulation", "unit", "reduction"),
    )
    parser.add_argument("name", metavar="NAME", help="a network's name, or a .keras file")
    parser.add_argument("--size", type=parse_size, metavar="SIZE", help=SIZE_HELP)
    parser.add_argument("--layers", action="store_true", help="print one line per layer")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    add_json_option(parser)
    parser.add_argument(
        "--classes",
        type=int,
        metavar="N",
        help="number of classes (default: 100 for CIFAR networks, 1000 for ImageNet networks)",
    )
    add_network_options(parser)
    add_import_option(parser)


def run(arguments: argparse.Namespace) -> None:
    """Prints the table."""
    model = _network(arguments)
    from keras_dla.analysis import complexity

    counts = complexity(model, _shape(model, arguments.size))
    if arguments.json:
        print_json(_record(counts))
    elif arguments.layers or not has_stages(counts):
        print(counts.to_markdown() if arguments.markdown else counts)
    else:
        _print_stages(counts, arguments.markdown)


def _network(arguments: argparse.Namespace) -> "keras.Model":
    given = network_arguments(arguments)
    if not is_file_name(arguments.name):
        check_name("NAME", arguments.name, arguments.imports)
        tell(f"Building {arguments.name} ...")
        from keras_dla.models import get_model

        return get_model(arguments.name, **given)
    if given:
        raise CommandError(
            f"`--{next(iter(given))}` must not be given with a file, which contains its own "
            "network."
        )
    return load_network(arguments.name)


def _shape(model: "keras.Model", size: tuple[int, int] | None) -> tuple[int | None, ...] | None:
    """Returns the shape of the images, or `None` if the network fixes it."""
    shapes = [tensor.shape[1:] for tensor in getattr(model, "inputs", None) or ()]
    if size is None and not any(None in shape for shape in shapes):
        return None
    return image_input(model, size).shape


def _print_stages(counts: "Complexity", markdown: bool) -> None:
    print(f"**{counts.title}**\n" if markdown else counts.title)
    print_table(HEADER, stage_rows(counts), LEFT, markdown)
    # Two spaces at the end of a line break it in Markdown.
    print("", ("  \n" if markdown else "\n").join(totals(counts)), sep="\n")


def _record(counts: "Complexity") -> dict[str, Any]:
    """Returns everything that was counted, for `--json`."""
    sums = {name: getattr(counts, name) for name in ("non_trainable", "flops", "uncounted")}
    return dataclasses.asdict(counts) | sums
