"""Puts dynamic layer attention into a CNN of your own, one without shortcuts.

    KERAS_BACKEND=jax python examples/custom_network.py

A stage only needs blocks with outputs of the same shape: the layer is called once after each of
them, and passes a state from one call to the next.
"""

import argparse
from pathlib import Path

import keras
import numpy as np
from keras import layers

import keras_dla
from keras_dla.analysis import attention_scores
from keras_dla.data import BLOOD_CELL_MEAN, BLOOD_CELL_STD, ArrayDataset, load_blood_cells
from keras_dla.layers import BatchNormalization, Conv2D, DynamicLayerAttention
from keras_dla.utils.out_of_memory import ending_without_memory

# After this many training steps, BN's moving statistics no longer depend on their initial values.
STEPS_OF_BN = 100


def block(x, filters):
    """Convolution, BN and ReLU: the building block of a VGG-like network."""
    x = Conv2D(filters, 3)(x)
    x = BatchNormalization()(x)
    return layers.ReLU()(x)


def stage(x, depth, filters, mode, name):
    """`depth` blocks of equal shape, each of which reads the blocks before it."""
    dla = DynamicLayerAttention(depth=depth, mode=mode, name=name)
    state = None
    for index in range(depth):
        x, state = dla(block(x, filters), state, index=index)
    return x


def build_network(classes):
    channels_last = keras.config.image_data_format() == "channels_last"
    images = keras.Input((32, 32, 3) if channels_last else (3, 32, 32))
    x = layers.MaxPooling2D()(block(images, 32))
    x = stage(x, depth=3, filters=32, mode="light", name="light_stage")
    x = layers.MaxPooling2D()(x)
    x = stage(x, depth=3, filters=64, mode="base", name="base_stage")
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, layers.Dense(classes, activation="softmax")(x))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add(
        "--epochs",
        type=int,
        default=3,
        metavar="N",
        help="passes over the images (default: %(default)s)",
    )
    add("--seed", type=int, default=0, metavar="N", help="seed of weights and data (default: 0)")
    add(
        "--output",
        type=Path,
        default=Path("."),
        help="folder for the model (default: the current one)",
    )
    return parser.parse_args()


@ending_without_memory()
def main():
    args = parse_arguments()
    args.output.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(args.seed)

    train, test = load_blood_cells()
    as_they_are = {"augment": False, "mean": BLOOD_CELL_MEAN, "std": BLOOD_CELL_STD}
    # Small batches give many steps per epoch, which BN's moving statistics need.
    train = ArrayDataset(*train, batch_size=21, seed=args.seed, **as_they_are)
    test_images, test_labels = ArrayDataset(
        *test, batch_size=len(test[0]), shuffle=False, **as_they_are
    )[0]

    model = build_network(classes=3)
    rate = keras.optimizers.schedules.CosineDecay(2e-3, args.epochs * len(train))
    model.compile(
        optimizer=keras.optimizers.Adam(rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(train, epochs=args.epochs, shuffle=False, verbose=2)
    steps = args.epochs * len(train)
    if steps < STEPS_OF_BN:
        print(
            f"note: {steps} training steps are fewer than the {STEPS_OF_BN} that "
            "BN's moving statistics need, so the test accuracy can be far below the training "
            "accuracy"
        )
    predictions = model.predict(test_images, batch_size=66, verbose=0)
    accuracy = np.mean(predictions.argmax(axis=-1) == test_labels)
    print(f"test accuracy {accuracy:.1%} on {len(test_labels)} images")

    # A `.keras` file contains the network, including the layers that its stages share.
    path = args.output / "custom_network.keras"
    model.save(path)
    loaded = keras_dla.load_model(path)
    again = loaded.predict(test_images, batch_size=66, verbose=0)
    print(f"saved and loaded: predictions differ by {np.abs(again - predictions).max():.1e}")

    # The attention scores of the loaded network show which layers read which.
    for name, scores in attention_scores(loaded, test_images[:66]).items():
        print(f"{name}: row l is what layer l reads from layers 1..l")
        print(scores.mean(axis=(0, 1)).round(2))
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
