"""Trains a network of the paper on CIFAR-10 or CIFAR-100, as the paper does.

    KERAS_BACKEND=jax python examples/train_cifar.py --dataset cifar100 --model dla_l_20

The run's folder gets a log (`log.csv`), the best model (`best.keras`) and the state to
go on from (`last.keras`): after Ctrl-C, a kill or a power cut, the same command with
`--resume` goes on from the last whole epoch, to the same end.
"""

import argparse
import dataclasses
import math
import sys

import keras

from keras_dla.data import ArrayDataset, cifar_dataset, cifar_steps_per_epoch, load_cifar_arrays
from keras_dla.models import get_model
from keras_dla.training import (
    CIFAR,
    EndlessBatches,
    EpochCheckpoint,
    Progress,
    compile_model,
    load_last,
    open_run,
)

CLASSES = {"cifar10": 10, "cifar100": 100}


def parse_arguments(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--dataset", choices=CLASSES, default="cifar100")
    add("--model", default="dla_l_20", help="such as resnet_20, se_56, mrla_l_20, dla_b_110")
    add("--formulation", choices=("official", "paper", "verbatim"), default="official")
    add("--epochs", type=int, default=CIFAR.epochs, help="drops of the rate move in proportion")
    add("--batch-size", type=int, default=CIFAR.batch_size)
    add("--steps-per-epoch", type=int, help="for a trial: fewer than a pass over the images")
    add("--seed", type=int, default=0)
    add("--mixed-precision", choices=("float16", "bfloat16"))
    add("--data", choices=("tfds", "memory"), help="tf.data or arrays; default by the backend")
    add("--data-dir", help="folder of tensorflow-datasets; without it, the data is downloaded")
    add("--output", help="folder of the run; default runs/DATASET-MODEL-FORMULATION-SEED")
    add("--resume", action="store_true", help="go on with the run in the folder")
    args = parser.parse_args(argv)
    tensorflow = keras.backend.backend() == "tensorflow"
    args.data = args.data or ("tfds" if tensorflow else "memory")
    args.output = args.output or f"runs/{args.dataset}-{args.model}-{args.formulation}-{args.seed}"
    return args


def settings(args):
    """What makes this run this run; where its files lie does not."""
    names = vars(args).keys() - {"data_dir", "output", "resume"}
    return {"backend": keras.backend.backend(), **{name: vars(args)[name] for name in names}}


def new_model(args, recipe):
    channels_last = keras.config.image_data_format() == "channels_last"
    model = get_model(
        args.model,
        classes=CLASSES[args.dataset],
        input_shape=(32, 32, 3) if channels_last else (3, 32, 32),
        drop_path=recipe.drop_path,
        formulation=args.formulation,
        classifier_activation=None,
    )
    return compile_model(model, recipe, args.steps_per_epoch)


class TensorFlowData:
    """The images through tensorflow-datasets and tf.data."""

    def __init__(self, args):
        self.args = args
        self.test = cifar_dataset(args.dataset, "test", 500, args.data_dir)

    def train(self, first):
        """Endless batches, from number `first` on."""
        epoch, left_out = divmod(first, cifar_steps_per_epoch("train", self.args.batch_size))
        train = cifar_dataset(
            self.args.dataset,
            "train",
            self.args.batch_size,
            self.args.data_dir,
            seed=self.args.seed,
            initial_epoch=epoch,
        )
        return train.skip(left_out) if left_out else train


class MemoryData:
    """The images as arrays; nothing here needs TensorFlow."""

    def __init__(self, args):
        train, test = load_cifar_arrays(args.dataset, data_dir=args.data_dir)
        self.dataset = ArrayDataset(*train, batch_size=args.batch_size, seed=args.seed)
        self.test = ArrayDataset(*test, batch_size=500, augment=False, shuffle=False)

    def train(self, first):
        """Endless batches, from number `first` on."""
        return EndlessBatches(self.dataset, first)


def prepare(args):
    """Finds everything that could be wrong before the first step, and before it writes a file."""
    keras.utils.set_random_seed(args.seed)
    if args.mixed_precision:
        keras.config.set_dtype_policy(f"mixed_{args.mixed_precision}")
    recipe = dataclasses.replace(CIFAR.scaled(args.epochs), batch_size=args.batch_size)
    if args.steps_per_epoch is None:
        args.steps_per_epoch = cifar_steps_per_epoch("train", args.batch_size)
    model = new_model(args, recipe)
    data = TensorFlowData(args) if args.data == "tfds" else MemoryData(args)
    folder = open_run(args.output, settings(args), resume=args.resume)
    model, progress = load_last(folder) or (model, Progress())
    return model, progress, data, folder


def train(args, model, progress, data, folder):
    done = progress.epochs
    parameters = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    print(f"{args.model}: {parameters:,} parameters; {done} epochs done; {folder}")
    model.fit(
        data.train(first=done * args.steps_per_epoch),
        steps_per_epoch=args.steps_per_epoch,
        initial_epoch=done,
        epochs=args.epochs,
        shuffle=False,
        validation_data=data.test,
        callbacks=[EpochCheckpoint(folder, progress)],
    )


def report(progress):
    accuracies = [row["val_accuracy"] for row in progress.history]
    best = max(accuracies)
    print(f"test accuracy {accuracies[-1]:.2%}", end="")
    print(f", best {best:.2%} after epoch {accuracies.index(best) + 1}")


def main(argv=None):
    args = parse_arguments(argv)
    try:
        model, progress, data, folder = prepare(args)
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"train_cifar.py: {error}")
    try:
        train(args, model, progress, data, folder)
    except KeyboardInterrupt:
        sys.exit(
            f"\nStopped after {progress.epochs} epochs; the same command with --resume goes on."
        )
    report(progress)


if __name__ == "__main__":
    main()
