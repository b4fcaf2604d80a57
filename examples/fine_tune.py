"""Turns a trained plain ResNet into a DLA-ResNet with the same outputs, and fine-tunes it.

    KERAS_BACKEND=jax python examples/fine_tune.py
    KERAS_BACKEND=torch python examples/fine_tune.py --images PHOTOGRAPHS --weights plain.keras

Without `--weights` a plain ResNet-20 is trained first; a `.keras` file of one replaces it.
Without `--images` the images are the photographs of blood cells that come with the package;
PHOTOGRAPHS is a folder with one folder of images per class. First only the interaction and the
classifier are trained, then the whole network. For comparison, `--start initial` keeps the
interaction's own initial values, and `--start nothing` trains the whole network from new weights.
"""

import argparse
from pathlib import Path

import keras
import numpy as np

import keras_dla
from keras_dla.analysis import attention_scores, plot_attention
from keras_dla.data import BLOOD_CELL_CLASSES, ArrayDataset, load_blood_cells, read_image
from keras_dla.interop import load_pretrained_resnet
from keras_dla.models import DLAResNet20, ResNet
from keras_dla.training import Recipe, compile_model
from keras_dla.utils.out_of_memory import ending_without_memory

SIDE = 32  # side of the images in pixels
RECIPE = Recipe(
    name="fine_tune",
    epochs=3,
    batch_size=28,
    learning_rate=0.02,
    momentum=0.9,
    weight_decay=1e-4,
    milestones=(2,),
    warmup_epochs=1,
)


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--images",
        type=Path,
        help="folder with one folder of images per class (default: the bundled photographs)",
    )
    add(
        "--weights",
        type=Path,
        help="trained plain ResNet-20 for these classes, a .keras file (default: train one)",
    )
    add(
        "--start",
        choices=("resnet", "initial", "nothing"),
        default="resnet",
        help="what training begins with, see above (default: resnet)",
    )
    epochs = {"type": int, "metavar": "N"}
    add(
        "--pretrain-epochs",
        **epochs,
        default=3,
        help="epochs of the plain network (default: %(default)s)",
    )
    add(
        "--frozen-epochs",
        **epochs,
        default=1,
        help="epochs that train only the interaction and the classifier (default: %(default)s)",
    )
    add(
        "--epochs",
        **epochs,
        default=RECIPE.epochs,
        help="epochs that train the whole network (default: %(default)s)",
    )
    add("--seed", type=int, default=0, metavar="N", help="seed of weights and data (default: 0)")
    add(
        "--output",
        type=Path,
        default=Path("."),
        help="folder for the network and the figure (default: the current one)",
    )
    return parser.parse_args()


def photographs(folder, seed):
    """Returns training and test images with their labels, and the names of the classes."""
    if folder is None:
        return *load_blood_cells(), BLOOD_CELL_CLASSES
    names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    files = []
    for label, name in enumerate(names):
        files += [(file, label) for file in sorted((folder / name).iterdir())]
    order = np.random.default_rng(seed).permutation(len(files))
    images = np.stack([resized(read_image(files[number][0])) for number in order])
    labels = np.array([files[number][1] for number in order])
    count = len(files) // 5  # a fifth for testing
    return (images[count:], labels[count:]), (images[:count], labels[:count]), names


def resized(image):
    scaled = keras.ops.image.resize(np.float32(image), (SIDE, SIDE), data_format="channels_last")
    return np.uint8(np.clip(keras.ops.convert_to_numpy(scaled), 0, 255))


def fit(model, train, epochs):
    """Trains the trainable weights of a model."""
    if epochs == 0:
        return
    recipe = RECIPE.scaled(epochs)
    compile_model(model, recipe, steps_per_epoch=len(train))
    model.fit(train, epochs=epochs, shuffle=False, verbose=2)


def accuracy(model, test, labels):
    return np.mean(model.predict(test, verbose=0).argmax(axis=-1) == labels)


@ending_without_memory()
def main():
    args = parse_arguments()
    args.output.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(args.seed)
    train, (test_images, test_labels), names = photographs(args.images, args.seed)
    normal = {
        "mean": train[0].mean((0, 1, 2)) / 255,
        "std": train[0].std((0, 1, 2)) / 255,
    }
    train = ArrayDataset(*train, batch_size=RECIPE.batch_size, seed=args.seed, **normal)
    fixed = {"augment": False, "shuffle": False}
    test = ArrayDataset(test_images, test_labels, batch_size=66, **fixed, **normal)

    # The trained plain network.
    if args.weights is None:
        plain = ResNet(20, classes=len(names))
        fit(plain, train, args.pretrain_epochs)
    else:
        plain = keras_dla.load_model(args.weights, compile=False)
    print(f"plain network: test accuracy {accuracy(plain, test, test_labels):.1%}")

    # The same weights with dynamic layer attention, which has no effect yet.
    model = DLAResNet20(classes=len(names))
    if args.start != "nothing":
        load_pretrained_resnet(model, plain, start=args.start)
    print(f"before fine-tuning: test accuracy {accuracy(model, test, test_labels):.1%}")

    # First only the new layers are trained.
    if args.start == "nothing":
        print("no frozen epochs, because every weight is new")
    else:
        for layer in model.layers:
            layer.trainable = layer.name == "classifier" or layer.name.endswith("_interaction")
        fit(model, train, args.frozen_epochs)
        print(f"with the rest frozen: test accuracy {accuracy(model, test, test_labels):.1%}")
        model.trainable = True
    fit(model, train, args.epochs)
    print(f"fine-tuned: test accuracy {accuracy(model, test, test_labels):.1%}")

    figure = args.output / "fine_tune_attention.png"
    plot_attention(attention_scores(model, test[0][0]), figure, title="Which layers read which")
    model.save(args.output / "fine_tune.keras")
    print(f"wrote {figure} and {args.output / 'fine_tune.keras'}")


if __name__ == "__main__":
    main()
