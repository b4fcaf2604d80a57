"""How much a prediction depends on the images that are predicted with it.

    python benchmarks/batch_dependence.py runs/verbatim/last.keras --data-dir DATA

In the authors' code the context of a batch's first image refreshes the features of all of them
(`formulation="verbatim"`), so its test accuracy depends on the batch size and on the order of the
images. This prints the accuracy of a trained network for several of both, and how many predictions
differ from those for each image alone. With `"official"` and `"paper"` none do, up to rounding.
"""

import argparse

import numpy as np

import keras_dla
from keras_dla.data import CIFAR_MEAN, CIFAR_STD, load_cifar_arrays
from keras_dla.data.normalization import normalize, scale_and_shift


def parse_arguments(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("model", help="a .keras file of a network for CIFAR")
    add("--dataset", choices=("cifar10", "cifar100"), default="cifar100")
    add("--data-dir", help="folder of tensorflow-datasets; without it, the data is downloaded")
    add("--images", type=int, help="use only this many of the test images")
    add("--batch-sizes", type=int, nargs="+", default=[1, 100, 1000])
    add("--orders", type=int, default=3, help="shuffled orders, in addition to the stored one")
    return parser.parse_args(argv)


def predicted(model, images, batch_size, order) -> np.ndarray:
    """Returns the predicted class of every image, predicted in `order`."""
    classes = np.empty(len(images), int)
    classes[order] = model.predict(images[order], batch_size, verbose=0).argmax(-1)
    return classes


def rows_of(model, images, labels, batch_sizes, orders):
    """Yields batch size, order, accuracy and the share of predictions unlike those alone."""
    stored = np.arange(len(images))
    alone = predicted(model, images, 1, stored)
    yield 1, "any", np.mean(alone == labels), 0.0
    for batch_size in sorted({*batch_sizes} - {1}):
        for seed in range(-1, orders):
            order = stored if seed < 0 else np.random.default_rng(seed).permutation(len(images))
            classes = predicted(model, images, batch_size, order)
            name = "stored" if seed < 0 else f"shuffled {seed}"
            yield batch_size, name, np.mean(classes == labels), np.mean(classes != alone)


def main(argv=None):
    args = parse_arguments(argv)
    model = keras_dla.load_model(args.model)
    _, (images, labels) = load_cifar_arrays(args.dataset, data_dir=args.data_dir)
    images, labels = images[: args.images], labels[: args.images]
    data_format = "channels_last" if model.input_shape[-1] == 3 else "channels_first"
    images = normalize(images, *scale_and_shift(CIFAR_MEAN, CIFAR_STD), data_format)
    print("batch  order        accuracy  other than alone")
    for size, order, accuracy, other in rows_of(
        model, images, labels, args.batch_sizes, args.orders
    ):
        print(f"{size:5d}  {order:11s}  {accuracy:8.2%}  {other:16.2%}", flush=True)


if __name__ == "__main__":
    main()
