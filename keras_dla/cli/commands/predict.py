"""`keras-dla predict`: the classes of images."""

import argparse
from typing import TYPE_CHECKING, Any

from keras_dla.cli.command import Commands, new_command
from keras_dla.cli.errors import CommandError
from keras_dla.cli.options.class_names import add_class_names_option, class_names, number_of_classes
from keras_dla.cli.options.files import add_json_option
from keras_dla.cli.options.image_files import image_paths, import_pillow
from keras_dla.cli.options.image_size import image_input
from keras_dla.cli.options.images import add_image_options, batches
from keras_dla.cli.options.imports import add_import_option
from keras_dla.cli.options.normalization import statistics
from keras_dla.cli.options.shipped_weights import (
    add_shipped_weights_options,
    check_shipped_weights,
    chosen_network,
)
from keras_dla.cli.terminal import print_json, progress

if TYPE_CHECKING:
    import numpy as np

# FILE is needed unless the network is given by name, which argparse does not say.
USAGE = """\
keras-dla predict [options] FILE IMAGE [IMAGE ...]
       keras-dla predict [options] --model NAME --weights DATASET IMAGE [IMAGE ...]"""
TEXT = """\
Prints the most likely classes of each image, as percentages, or as scores if the network
has no softmax. Images are predicted one by one, so none affects another.

A network knows its classes only by number. --classes gives their names, and if it names a
data set, also the normalisation of the images; otherwise --normalize must give that. The bundled
weights (`keras-dla weights list`) know both: give --model and --weights instead of FILE.

  keras-dla predict dla.keras cat.png dog.png --classes cifar100
  keras-dla predict dla.keras *.jpg --normalize imagenet --classes names.txt --crop --top 1
  keras-dla predict own.keras a.png --mean 0.5,0.5,0.5 --std 0.25,0.25,0.25 --size 64
  keras-dla predict dla.keras *.png --classes cifar10 --json > predictions.json
  keras-dla predict --model dla_l_20 --weights cifar100 cat.png
"""


def add_parser(commands: Commands) -> None:
    """Adds the command to the program."""
    parser = new_command(commands, "predict", run, "classify images", TEXT)
    parser.usage = USAGE
    add_shipped_weights_options(parser, add_image_options(parser))
    add_import_option(parser)
    add_class_names_option(parser)
    parser.add_argument(
        "--top",
        type=int,
        default=5,
        metavar="N",
        help="how many classes to print per image (default: 5)",
    )
    add_json_option(parser)


def run(arguments: argparse.Namespace) -> None:
    """Prints the most likely classes of each image as soon as they are known."""
    if arguments.top < 1:
        raise CommandError(f"`--top` must be at least 1, but is {arguments.top}.")
    import_pillow()
    check_shipped_weights(arguments)
    paths = image_paths(arguments.images)
    model = chosen_network(arguments)
    wanted = image_input(model, arguments.size)
    classes = arguments.classes or arguments.weights
    names = class_names(classes, number_of_classes(model))
    chosen = statistics(arguments, wanted.channels, classes)
    read = batches(paths, wanted, chosen, arguments.crop)
    scores = (model.predict_on_batch(batch)[0] for batch in read)
    if arguments.json:
        total = len(paths)
        told = zip(paths, progress(scores, total, "Predicting"), strict=True)
        print_json([_record(str(path), row, names, arguments.top) for path, row in told])
        return
    for path, row in zip(paths, scores, strict=True):
        print("\n".join([str(path), *_lines(row, names, arguments.top)]), flush=True)


def _likeliest(scores: "np.ndarray", top: int) -> list[int]:
    return (-scores).argsort(kind="stable")[:top].tolist()


def _lines(scores: "np.ndarray", names: list[str], top: int) -> list[str]:
    form = "{:7.2%}" if _are_probabilities(scores) else "{:8.3f}"
    return [f"  {form.format(scores[index])}  {names[index]}" for index in _likeliest(scores, top)]


def _record(path: str, scores: "np.ndarray", names: list[str], top: int) -> dict[str, Any]:
    classes = [
        {"index": index, "name": names[index], "score": float(scores[index])}
        for index in _likeliest(scores, top)
    ]
    return {"image": path, "probabilities": _are_probabilities(scores), "classes": classes}


def _are_probabilities(scores: "np.ndarray") -> bool:
    return bool(scores.min() >= 0 and abs(float(scores.astype("float64").sum()) - 1) < 1e-2)
