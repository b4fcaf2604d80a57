"""`keras-dla attention`: a figure of which layers of each stage read which."""

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING

from keras_dla.cli.command import Commands, new_command
from keras_dla.cli.options.files import add_plot_options, check_plot
from keras_dla.cli.options.image_files import image_paths, import_pillow
from keras_dla.cli.options.image_size import image_input
from keras_dla.cli.options.images import add_image_options, batches
from keras_dla.cli.options.imports import add_import_option
from keras_dla.cli.options.networks import load_network
from keras_dla.cli.options.normalization import statistics
from keras_dla.cli.terminal import progress

if TYPE_CHECKING:
    import keras
    import numpy as np

    from keras_dla.analysis import AttentionScores

TEXT = """\
Draws Figure 2 of the paper for a network with layer attention (mrla_b, mrla_l, dla_b, dla_l): one
panel per stage. A row is a query layer, which reads, and a column a key layer, which is read. The
scores are averaged over the images, which must be normalised as in training: give --normalize, or
--mean and --std. Without --title, the title is the network's name.

  keras-dla attention dla.keras cat.png -o attention.png --normalize cifar
  keras-dla attention dla.keras *.jpg -o attention.pdf --normalize imagenet --title "DLA-L-50"
"""


def add_parser(commands: Commands) -> None:
    """Adds the command to the program."""
    parser = new_command(
        commands,
        "attention",
        run,
        "plot which layers read which",
        TEXT,
        typed={"model": "FILE"},
    )
    add_image_options(parser)
    add_import_option(parser)
    add_plot_options(parser)


def run(arguments: argparse.Namespace) -> None:
    """Writes the figure, completely or not at all."""
    check_plot("--output", arguments.output, arguments.force)
    import_pillow()
    paths = image_paths(arguments.images)
    model = load_network(arguments.file)
    wanted = image_input(model, arguments.size)
    chosen = statistics(arguments, wanted.channels)
    read = batches(paths, wanted, chosen, arguments.crop)
    text = f"Running {model.name} on images of {wanted.height}x{wanted.width}"
    scores = _scores(model, progress(read, len(paths), text))
    from keras_dla.analysis import plot_attention

    title = model.name if arguments.title is None else arguments.title
    plot_attention(scores, arguments.output, title=title)
    print(f"wrote {arguments.output}")


def _scores(model: "keras.Model", read: Iterable["np.ndarray"]) -> "AttentionScores":
    from keras_dla.analysis import AttentionScores, attention_scores

    return AttentionScores.joined([attention_scores(model, batch) for batch in read])
