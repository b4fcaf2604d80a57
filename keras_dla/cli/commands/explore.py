"""`keras-dla explore`: one HTML page that shows which layers of networks read which."""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from keras_dla.cli.command import Commands, new_command
from keras_dla.cli.errors import CommandError
from keras_dla.cli.options import chosen_images
from keras_dla.cli.options.chosen_images import add_choice_options, choose_images
from keras_dla.cli.options.class_names import add_class_names_option, class_names, number_of_classes
from keras_dla.cli.options.files import add_output_options, check_output, file_argument
from keras_dla.cli.options.imports import add_import_option
from keras_dla.cli.options.networks import load_network

TEXT = f"""\
Writes one HTML file that opens without a server or an internet connection. It shows the images,
their class scores, where the networks see a class (Grad-CAM), and which layers of each stage read
which, with sliders for layer and head. Several networks are shown side by side. FILE is a network
(.keras), an image, or a folder of images.

{chosen_images.TEXT}
  keras-dla explore dla.keras images -o report.html --classes cifar100
  keras-dla explore mrla.keras dla.keras cat.png dog.png -o report.html --normalize cifar
"""


def add_parser(commands: Commands) -> None:
    """Adds the command to the program."""
    parser = new_command(
        commands,
        "explore",
        run,
        "write an HTML page that shows which layers read which",
        TEXT,
        typed={
            "model": "FILE",
            "models": "FILE",
            "images": "FILE",
            "inputs": "FILE",
            "class_names": "--classes",
        },
    )
    file_argument(
        parser, "files", nargs="+", metavar="FILE", help="networks, then images or folders of them"
    )
    add_output_options(parser, "PAGE", "HTML file to write")
    add_class_names_option(parser)
    title = "What the layers read"
    parser.add_argument("--title", default=title, help=f"title of the page (default: {title})")
    add_choice_options(parser, most=16)
    add_import_option(parser)


def run(arguments: argparse.Namespace) -> None:
    """Writes the page, completely or not at all."""
    if arguments.output.suffix.lower() not in (".html", ".htm"):
        raise CommandError(f"`--output` must end in .html, but is {arguments.output}.")
    check_output(arguments.output, arguments.force)
    networks = [path for path in arguments.files if path.endswith(".keras")]
    if not networks:
        raise CommandError("at least one FILE must be a network, which ends in .keras.")
    models = [load_network(path) for path in networks]
    names = class_names(arguments.classes, number_of_classes(models[0]))
    given = [path for path in arguments.files if path not in networks]
    chosen = choose_images(arguments, models, given)
    from keras_dla.analysis import explore

    explore(
        dict(zip(_titles(networks), models, strict=True)),
        chosen.inputs,
        arguments.output,
        images=chosen.pixels,
        image_names=chosen.names,
        class_names=names,
        title=arguments.title,
        batch_size=1,  # a "verbatim" network's prediction depends on its batch
    )
    print(f"wrote {arguments.output}")


def _titles(paths: Sequence[str]) -> list[str]:
    """Returns the networks' titles on the page: their files' names if these differ."""
    stems = [Path(path).stem for path in paths]
    return [
        stem if Counter(stems)[stem] == 1 else path for stem, path in zip(stems, paths, strict=True)
    ]
