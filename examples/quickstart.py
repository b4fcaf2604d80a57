"""Trains a small DLA-ResNet on real photographs in a minute, and shows which layers read which.

    KERAS_BACKEND=jax python examples/quickstart.py

The images are bundled: red blood cells, white blood cells and platelets.
"""

import argparse
from pathlib import Path

import keras
import numpy as np

from keras_dla.analysis import attention_scores, plot_attention, plot_predictions
from keras_dla.data import (
    BLOOD_CELL_CLASSES,
    BLOOD_CELL_MEAN,
    BLOOD_CELL_STD,
    ArrayDataset,
    load_blood_cells,
)
from keras_dla.models import DLAResNet20
from keras_dla.training import Recipe, compile_model
from keras_dla.utils.out_of_memory import ending_without_memory

RECIPE = Recipe(
    name="quickstart",
    epochs=4,
    batch_size=28,
    learning_rate=0.05,
    momentum=0.9,
    weight_decay=1e-4,
    milestones=(3,),
    warmup_epochs=1,
)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add(
        "--epochs",
        type=int,
        default=RECIPE.epochs,
        metavar="N",
        help="passes over the images (default: %(default)s)",
    )
    add("--seed", type=int, default=0, metavar="N", help="seed of weights and data (default: 0)")
    add(
        "--variant",
        choices=("light", "base"),
        default="base",
        help="version of DLA (default: base)",
    )
    add(
        "--output",
        type=Path,
        default=Path("."),
        help="folder for the figures (default: the current one)",
    )
    return parser.parse_args()


@ending_without_memory()
def main():
    args = parse_arguments()
    args.output.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(args.seed)
    recipe = RECIPE.scaled(args.epochs)

    # The images: 840 for training, and 198 from other photographs for testing.
    train, (test_images, test_labels) = load_blood_cells()
    normal = {"mean": BLOOD_CELL_MEAN, "std": BLOOD_CELL_STD}
    train = ArrayDataset(*train, batch_size=recipe.batch_size, seed=args.seed, **normal)
    test = ArrayDataset(
        test_images, test_labels, batch_size=66, augment=False, shuffle=False, **normal
    )

    # The network: three stages whose blocks interact by dynamic layer attention.
    model = DLAResNet20(classes=len(BLOOD_CELL_CLASSES), variant=args.variant)
    compile_model(model, recipe, steps_per_epoch=len(train))
    model.fit(train, epochs=recipe.epochs, shuffle=False, verbose=2)

    probabilities = model.predict(test, verbose=0)
    accuracy = np.mean(probabilities.argmax(axis=-1) == test_labels)
    print(f"test accuracy {accuracy:.1%} on {len(test_labels)} images")

    # Which blocks of each stage read which, averaged over the first 66 test images.
    attention_figure = args.output / "quickstart_attention.png"
    plot_attention(
        attention_scores(model, test[0][0]),
        attention_figure,
        title=f"DLA-ResNet-20 ({args.variant}): attention between the layers of each stage",
    )

    # Some test images with their predictions.
    predictions_figure = args.output / "quickstart_predictions.png"
    some = np.random.default_rng(args.seed).choice(len(test_labels), 24, replace=False)
    plot_predictions(
        test_images[some],
        probabilities[some],
        predictions_figure,
        labels=test_labels[some],
        class_names=BLOOD_CELL_CLASSES,
        title=f"24 of the test images ({accuracy:.1%} of all are right)",
    )
    print(f"wrote {attention_figure} and {predictions_figure}")


if __name__ == "__main__":
    main()
