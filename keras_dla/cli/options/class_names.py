"""Class names: those of the data sets, or of a text file."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from keras_dla.cli.errors import CommandError

if TYPE_CHECKING:
    import keras

CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck"
CIFAR100 = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile
cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp
lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom
oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake
spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor
train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""
PRESETS = ("cifar10", "cifar100", "blood_cells")
LONGEST_FILE = 10_000_000  # bytes


def add_class_names_option(parser: argparse.ArgumentParser) -> None:
    """Adds the option for class names."""
    parser.add_argument(
        "--classes",
        metavar="NAMES",
        help="names of the classes: cifar10, cifar100, blood_cells, or a text file with one name "
        "per line (default: their numbers)",
    )


def class_names(source: str | None, classes: int) -> list[str]:
    """Returns the name of each class.

    Args:
        source: string, one of `PRESETS`, the path of a text file with a name per line, or `None`
            for numbers from 0 on.
        classes: integer, the network's number of classes.

    Raises:
        CommandError: when the file cannot be read, or has another number of names.

    Example:
    >>> class_names("cifar10", 10)[3]
    'cat'
    >>> class_names(None, 3)
    ['class 0', 'class 1', 'class 2']
    """
    if source is None:
        return [f"class {number}" for number in range(classes)]
    names = _preset(source) if source in PRESETS else _read(Path(source))
    if len(names) != classes:
        raise CommandError(
            f"`--classes` must name the network's {classes} classes, "
            f"but {source} has {len(names)} names."
        )
    return names


def number_of_classes(model: "keras.Model") -> int:
    """Returns the number of classes of a classifier.

    Args:
        model: `keras.Model`.

    Raises:
        CommandError: when its output is not `[batch, classes]`.
    """
    shapes = [tensor.shape for tensor in model.outputs]
    if len(shapes) != 1 or len(shapes[0]) != 2 or shapes[0][1] is None:
        raise CommandError(f"{model.name} must have one output [batch, classes], but has {shapes}.")
    return shapes[0][1]


def _preset(source: str) -> list[str]:
    if source == "blood_cells":
        from keras_dla.data import BLOOD_CELL_CLASSES

        return list(BLOOD_CELL_CLASSES)
    names = CIFAR10 if source == "cifar10" else CIFAR100
    return [name.replace("_", " ") for name in names.split()]


def _read(path: Path) -> list[str]:
    if not path.is_file():
        raise CommandError(
            f"`--classes` must be {', '.join(PRESETS)} or a text file, but there is no file {path}."
        )
    if path.stat().st_size > LONGEST_FILE:
        raise CommandError(
            f"`--classes` must be a text file with one name per line, but {path} is too large "
            "for one."
        )
    try:
        text = path.read_text(encoding="utf-8-sig")  # without a byte order mark
    except UnicodeDecodeError as error:
        raise CommandError(
            f"`--classes` must be a text file in UTF-8 with one name per line, but {path} is not."
        ) from error
    names = [line.strip() for line in text.splitlines() if line.strip()]
    for name in names:
        if not name.isprintable():  # control characters could steer the terminal
            raise CommandError(
                f"`--classes` must contain only printable characters, but {path} has {name!r}."
            )
    return names
