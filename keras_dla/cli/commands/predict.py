"""`keras-dla predict`: the classes of pictures."""

from typing import TYPE_CHECKING

from keras_dla.cli.command import new_command
from keras_dla.cli.errors import CommandError
from keras_dla.cli.options.batches import add_picture_options, batches
from keras_dla.cli.options.class_names import class_names
from keras_dla.cli.options.image_size import image_input
from keras_dla.cli.options.images import check_pictures, import_pillow
from keras_dla.cli.options.imports import add_import_option
from keras_dla.cli.options.networks import load_network
from keras_dla.cli.options.normalization import statistics

if TYPE_CHECKING:
    import numpy as np

TEXT = """\
Prints the five likeliest classes of each picture. A classifier without softmax gives scores
instead of percentages. Each picture is a batch of its own, so none depends on the others.

A network knows its classes by number; --classes names them, and says, for a data set, how its
pictures were normalised. Without it, --normalize must say that.

  keras-dla predict dla.keras cat.png dog.png --classes cifar100
  keras-dla predict dla.keras *.jpg --normalize imagenet --classes names.txt --crop --top 1
  keras-dla predict own.keras a.png --mean 0.5,0.5,0.5 --std 0.25,0.25,0.25 --size 64
"""


def add_parser(commands) -> None:
    """Adds the command to the program."""
    parser = new_command(commands, "predict", run, "say what is in pictures", TEXT)
    add_picture_options(parser)
    add_import_option(parser)
    parser.add_argument(
        "--classes",
        metavar="NAMES",
        help="cifar10, cifar100, blood_cells, or a text file with a name a line; default: numbers",
    )
    parser.add_argument("--top", type=int, default=5, help="how many classes (default: 5)")


def run(arguments) -> None:
    """Prints the likeliest classes of each picture as soon as they are known."""
    if arguments.top < 1:
        raise CommandError(f"`--top` must be at least 1, but is {arguments.top}.")
    import_pillow()
    check_pictures(arguments.images)
    model = load_network(arguments.file)
    wanted = image_input(model, arguments.size)
    names = class_names(arguments.classes, _number_of_classes(model))
    chosen = statistics(arguments, wanted.channels, arguments.classes)
    read = batches(arguments.images, wanted, chosen, arguments.crop)
    for path, batch in zip(arguments.images, read, strict=True):
        scores = model.predict_on_batch(batch)[0]
        print("\n".join([path, *_lines(scores, names, arguments.top)]), flush=True)


def _number_of_classes(model):
    shapes = [tensor.shape for tensor in model.outputs]
    if len(shapes) != 1 or len(shapes[0]) != 2 or shapes[0][1] is None:
        raise CommandError(f"{model.name} must have one output [batch, classes], but has {shapes}.")
    return shapes[0][1]


def _lines(scores: "np.ndarray", names, top):
    likeliest = (-scores).argsort(kind="stable")[:top]
    form = "{:7.2%}" if _are_probabilities(scores) else "{:8.3f}"
    return [f"  {form.format(float(scores[index]))}  {names[index]}" for index in likeliest]


def _are_probabilities(scores):
    return scores.min() >= 0 and abs(float(scores.astype("float64").sum()) - 1) < 1e-2
