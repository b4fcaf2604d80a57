"""`keras-dla summary`: what the parts of a network hold and cost."""

from keras_dla.cli.command import new_command, tell
from keras_dla.cli.errors import CommandError
from keras_dla.cli.options.image_size import image_input, parse_size
from keras_dla.cli.options.imports import add_import_option
from keras_dla.cli.options.networks import (
    add_network_options,
    is_file_name,
    load_network,
    network_arguments,
)
from keras_dla.cli.stage_table import HEADER, LEFT, has_stages, stage_rows, totals
from keras_dla.utils.text_table import as_markdown, as_text

TEXT = """\
FLOPs are multiply-adds for one image, as in Table 2 of the paper. "of which" is the share of the
blocks' interaction, which the line above includes.

  keras-dla summary dla_l_56 --classes 10
  keras-dla summary dla_l_110 --unit lstm          a row of Table 4
  keras-dla summary dla_b_50 --layers              every layer, and the parts of its cost
  keras-dla summary trained.keras --size 64 --markdown
"""


def add_parser(commands) -> None:
    """Adds the command to the program."""
    parser = new_command(
        commands, "summary", run, "count parameters and FLOPs, stage by stage", TEXT
    )
    parser.add_argument("name", metavar="NAME", help="a network's name, or a .keras file")
    parser.add_argument(
        "--size",
        type=parse_size,
        metavar="SIZE",
        help="of the images: 224, or 224x320 (height x width); "
        "default: the network's, else 32 (CIFAR) or 224 (ImageNet)",
    )
    parser.add_argument("--layers", action="store_true", help="a line for every layer")
    parser.add_argument("--markdown", action="store_true", help="write the table in Markdown")
    parser.add_argument("--classes", type=int, help="number of classes (default: 100 or 1000)")
    add_network_options(parser)
    add_import_option(parser)


def run(arguments) -> None:
    """Prints the table."""
    model = _network(arguments)
    from keras_dla.analysis import complexity

    counts = complexity(model, _shape(model, arguments.size))
    if arguments.layers or not has_stages(counts):
        print(counts.to_markdown() if arguments.markdown else counts)
    else:
        print(_markdown(counts) if arguments.markdown else _text(counts))


def _network(arguments):
    given = network_arguments(arguments)
    if not is_file_name(arguments.name):
        tell(f"Building {arguments.name} ...")
        from keras_dla.models import get_model

        return get_model(arguments.name, **given)
    if given:
        raise CommandError(
            f"`--{next(iter(given))}` must not be given with a file, which holds its own network."
        )
    return load_network(arguments.name)


def _shape(model, size):
    """Returns the shape of the pictures, or `None` where the network leaves nothing open."""
    shapes = [tensor.shape[1:] for tensor in getattr(model, "inputs", None) or ()]
    if size is None and not any(None in shape for shape in shapes):
        return None
    return image_input(model, size).shape


def _text(counts):
    table = as_text(HEADER, stage_rows(counts), LEFT)
    return "\n".join([counts.title, table, *totals(counts)])


def _markdown(counts):
    table = as_markdown(HEADER, stage_rows(counts), LEFT)
    # Two spaces at the end of a line break it.
    return "\n".join([f"**{counts.title}**", "", table, "", "  \n".join(totals(counts))])
