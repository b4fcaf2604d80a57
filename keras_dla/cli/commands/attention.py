"""`keras-dla attention`: what the layers of each stage read of each other, as a picture."""

from pathlib import Path

from keras_dla.cli.command import new_command, tell
from keras_dla.cli.errors import CommandError
from keras_dla.cli.options.batches import add_picture_options, batches
from keras_dla.cli.options.image_size import image_input
from keras_dla.cli.options.images import check_pictures, import_pillow
from keras_dla.cli.options.imports import add_import_option
from keras_dla.cli.options.networks import load_network
from keras_dla.cli.options.normalization import statistics
from keras_dla.cli.options.outputs import add_force_option, check_output

ENDINGS = (".png", ".pdf", ".svg")
TEXT = """\
Draws Figure 2 of the paper for a network with layer attention (mrla_b, mrla_l, dla_b, dla_l): a
panel a stage; a row is the layer that asks, a column the layer that it reads. Several pictures
give the mean over them.

  keras-dla attention dla.keras cat.png -o attention.png --normalize cifar
  keras-dla attention dla.keras *.jpg -o attention.pdf --normalize imagenet --title "DLA-L-50"
"""


def add_parser(commands) -> None:
    """Adds the command to the program."""
    parser = new_command(
        commands, "attention", run, "draw what the layers read of each other", TEXT
    )
    add_picture_options(parser)
    add_import_option(parser)
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="file to write: .png, .pdf or .svg"
    )
    parser.add_argument("--title", help="a line above the panels (default: the network's name)")
    add_force_option(parser)


def run(arguments) -> None:
    """Writes the picture, whole or not at all."""
    output = arguments.output
    if output.suffix not in ENDINGS:
        raise CommandError(f"`--output` must end in {', '.join(ENDINGS)}, but is {output}.")
    check_output(output, arguments.force)
    import_pillow()
    check_pictures(arguments.images)
    model = load_network(arguments.file)
    wanted = image_input(model, arguments.size)
    chosen = statistics(arguments, wanted.channels)
    tell(f"Running {model.name} on {len(arguments.images)} of {wanted.height}x{wanted.width} ...")
    scores = _scores(model, batches(arguments.images, wanted, chosen, arguments.crop))
    from keras_dla.analysis import plot_attention

    title = model.name if arguments.title is None else arguments.title
    plot_attention(scores, output, title=title)
    print(f"wrote {output}")


def _scores(model, read):
    from keras_dla.analysis import AttentionScores, attention_scores

    return AttentionScores.joined([attention_scores(model, batch) for batch in read])
