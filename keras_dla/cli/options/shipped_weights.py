"""A network given by name, with bundled trained weights."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from keras_dla.cli.errors import CommandError
from keras_dla.cli.options.networks import check_name, load_network

if TYPE_CHECKING:
    import keras


def add_shipped_weights_options(parser: argparse.ArgumentParser, images: argparse.Action) -> None:
    """Adds `--model` and `--weights`, which replace the network's file.

    Args:
        parser: `argparse.ArgumentParser`.
        images: what `add_image_options` returned.
    """

    class NetworkByName(argparse.Action):
        """Stores the name; the argument for the network's file is then the first image."""

        def __call__(
            self,
            parser: argparse.ArgumentParser,
            namespace: argparse.Namespace,
            values: str | Sequence[Any] | None,
            option_string: str | None = None,
        ) -> None:
            images.nargs = "*"
            setattr(namespace, self.dest, values)

    parser.add_argument(
        "--model",
        action=NetworkByName,
        metavar="NAME",
        help="a network by its name in place of FILE, see `keras-dla weights list`",
    )
    parser.add_argument(
        "--weights",
        metavar="DATASET",
        help="its bundled trained weights: cifar100; they include the class names and the "
        "normalisation",
    )


def check_shipped_weights(arguments: argparse.Namespace) -> None:
    """Makes FILE the first image if the network is given by name.

    Raises:
        CommandError: when one of the two options is missing, or there is no such network.
    """
    if (arguments.model is None) != (arguments.weights is None):
        raise CommandError("`--model` and `--weights` must be given together.")
    if arguments.model is None:
        return
    check_name("`--model`", arguments.model, arguments.imports)
    arguments.images = [arguments.file, *arguments.images]
    arguments.file = None


def chosen_network(arguments: argparse.Namespace) -> "keras.Model":
    """Returns the network of the file, or the named one with its weights.

    Raises:
        CommandError: when the file cannot be loaded.
        ValueError: when no such weights come with the package.
    """
    if arguments.model is None:
        return load_network(arguments.file)
    from keras_dla.models import get_model
    from keras_dla.models.trained_weights import CLASSES

    name = arguments.weights
    return get_model(arguments.model, classes=CLASSES.get(name), weights=name)
