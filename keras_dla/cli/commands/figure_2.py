"""`keras-dla figure 2`: attention scores of one stage, static and dynamic side by side."""

import argparse

from keras_dla.cli.command import Commands, new_command, options
from keras_dla.cli.options import chosen_images
from keras_dla.cli.options.chosen_images import add_choice_options, choose_images
from keras_dla.cli.options.files import add_plot_options, check_plot, file_argument
from keras_dla.cli.options.imports import add_import_option
from keras_dla.cli.options.networks import load_network
from keras_dla.cli.terminal import tell

TEXT = f"""\
Draws which layers of a stage read which, averaged over images, in a network with static layer
attention (mrla_b) and in one with dynamic layer attention (dla_b). A third panel shows the
scores of DLA-B multiplied by the scales that its values have accumulated.

{chosen_images.TEXT}
  keras-dla figure 2 static.keras dynamic.keras --stage 3 -o figure2.svg --data-dir data
  keras-dla figure 2 mrla.keras dla.keras --images photos -o figure2.png --normalize imagenet
"""


def add_parser(commands: Commands) -> None:
    """Adds the figure to the command."""
    parser = new_command(
        commands,
        "2",
        run,
        "attention scores of a stage, static beside dynamic",
        TEXT,
        typed={"static": "STATIC", "dynamic": "DYNAMIC", "images": "--images", **options("stage")},
    )
    file_argument(
        parser,
        "static",
        metavar="STATIC",
        help="the static network, such as mrla_b_56, a .keras file",
    )
    file_argument(
        parser,
        "dynamic",
        metavar="DYNAMIC",
        help="the dynamic network, such as dla_b_56, a .keras file",
    )
    parser.add_argument(
        "--stage",
        type=_stage,
        default=3,
        help="number of the stage, from 1 on (default: 3), or the name of its attention layer",
    )
    file_argument(
        parser,
        "--images",
        nargs="+",
        default=[],
        metavar="IMAGE",
        help="images, or folders of them",
    )
    add_choice_options(parser, most=256)
    add_import_option(parser)
    add_plot_options(parser)


def _stage(text: str) -> int | str:
    return int(text) if text.isdigit() else text


def run(arguments: argparse.Namespace) -> None:
    """Writes the figure, completely or not at all."""
    check_plot("--output", arguments.output, arguments.force)
    static, dynamic = load_network(arguments.static), load_network(arguments.dynamic)
    chosen = choose_images(arguments, [static, dynamic], arguments.images)
    tell(f"Running both networks on {len(chosen.inputs)} images ...")
    from keras_dla.analysis import figure_2

    figure_2(
        static,
        dynamic,
        chosen.inputs,
        arguments.output,
        stage=arguments.stage,
        title=arguments.title,
    )
    print(f"wrote {arguments.output}")
