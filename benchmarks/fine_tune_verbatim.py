"""Trains a network with the authors' batch slip, from the bundled weights of the official form.

    python benchmarks/fine_tune_verbatim.py verbatim.keras --data-dir DATA
    python benchmarks/batch_dependence.py verbatim.keras --data-dir DATA

Both forms have the same weights. The network is trained on CIFAR-100 by the paper's recipe, scaled
to a few epochs and a tenth of the learning rate, and saved. With `--epochs 0` it is saved as it
starts. The second command prints how much its predictions depend on the batch.
"""

import argparse
import dataclasses

import keras

from keras_dla.data import CIFAR_MEAN, CIFAR_STD, ArrayDataset, load_cifar_arrays
from keras_dla.models import get_model
from keras_dla.training import CIFAR, compile_model, keep_freed_memory


def parse_arguments(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("output", help="the .keras file to write")
    add("--model", default="dla_l_20", help="a network with bundled weights for CIFAR-100")
    add("--data-dir", help="folder of tensorflow-datasets; without it, the data is downloaded")
    add("--epochs", type=int, default=3)
    add("--images", type=int, help="use only this many of the training images")
    return parser.parse_args(argv)


def verbatim_with_official_weights(name: str) -> keras.Model:
    """Returns the verbatim form of a network with the bundled weights of its official form."""
    official = get_model(name, classes=100, weights="cifar100")
    verbatim = get_model(name, classes=100, formulation="verbatim", drop_path=CIFAR.drop_path)
    verbatim.set_weights(official.get_weights())
    return verbatim


def train(model: keras.Model, images, labels, epochs: int) -> None:
    """Trains a network at a tenth of the recipe's learning rate."""
    recipe = dataclasses.replace(CIFAR.scaled(epochs), learning_rate=CIFAR.learning_rate / 10)
    data = ArrayDataset(images, labels, recipe.batch_size, CIFAR_MEAN, CIFAR_STD)
    compile_model(model, recipe, steps_per_epoch=len(data))
    model.fit(data, epochs=recipe.epochs, shuffle=False, verbose=2)


def main(argv=None):
    args = parse_arguments(argv)
    keep_freed_memory()
    keras.utils.set_random_seed(0)
    model = verbatim_with_official_weights(args.model)
    if args.epochs:
        (images, labels), _ = load_cifar_arrays("cifar100", data_dir=args.data_dir)
        train(model, images[: args.images], labels[: args.images], args.epochs)
    model.save(args.output)


if __name__ == "__main__":
    main()
