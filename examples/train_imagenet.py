"""Trains a network of the paper on ImageNet, as the paper does.

    KERAS_BACKEND=jax python examples/train_imagenet.py --model dla_l_50 --data-dir DATA

DATA is where tensorflow-datasets has prepared imagenet2012 (tfds build imagenet2012); the message
about a missing data set has the command. The run's folder gets a log (`log.csv`), the best model
(`best.keras`) and the state to go on from (`last.keras`): after Ctrl-C, a kill or a power cut, the
same command with `--resume` goes on from the last state, to the same end.
"""

import argparse
import dataclasses
import math
import sys

import keras

from keras_dla.data import imagenet_classes, imagenet_dataset, imagenet_steps_per_epoch
from keras_dla.models import get_model
from keras_dla.training import (
    IMAGENET,
    DivergenceError,
    EpochCheckpoint,
    Progress,
    StopAtDivergence,
    compile_model,
    fit_rest,
    load_last,
    open_run,
)


def parse_arguments(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--model", default="dla_l_50", help="such as resnet_50, mrla_l_101, dla_l_101")
    add("--formulation", choices=("official", "paper", "verbatim"), default="official")
    add("--dataset", default="imagenet2012", help="or any pictures with labels in DATA_DIR")
    add("--data-dir", help="folder of tensorflow-datasets, if it is not the usual one")
    add("--epochs", type=int, default=IMAGENET.epochs, help="drops of the rate move in proportion")
    add("--batch-size", type=int, default=IMAGENET.batch_size)
    add("--image-size", type=int, default=224)
    add("--attention-weight-decay", type=float, help="if attention layers get one of their own")
    add("--steps-per-epoch", type=int, help="for a trial: fewer than a pass over the images")
    add("--seed", type=int, default=0)
    add("--mixed-precision", choices=("float16", "bfloat16"))
    add("--output", help="folder of the run; default runs/DATASET-MODEL-FORMULATION-SEED")
    add("--resume", action="store_true", help="go on with the run in the folder")
    args = parser.parse_args(argv)
    dataset = args.dataset.replace("/", "_")
    args.output = args.output or f"runs/{dataset}-{args.model}-{args.formulation}-{args.seed}"
    return args


def settings(args):
    """What makes this run this run; where its files lie does not."""
    names = vars(args).keys() - {"data_dir", "output", "resume"}
    return {"backend": keras.backend.backend(), **{name: vars(args)[name] for name in names}}


def new_model(args):
    recipe = dataclasses.replace(
        IMAGENET.scaled(args.epochs),
        batch_size=args.batch_size,
        attention_weight_decay=args.attention_weight_decay,
    )
    channels_last = keras.config.image_data_format() == "channels_last"
    sides = (args.image_size, args.image_size)
    model = get_model(
        args.model,
        classes=imagenet_classes(args.data_dir, args.dataset),
        input_shape=(*sides, 3) if channels_last else (3, *sides),
        drop_path=recipe.drop_path,
        formulation=args.formulation,
        classifier_activation=None,
    )
    return compile_model(model, recipe, args.steps_per_epoch)


class Images:
    """The batches, and where training starts among them."""

    def __init__(self, args):
        self.passes = imagenet_steps_per_epoch(
            "train", args.batch_size, args.data_dir, args.dataset, drop_remainder=True
        )
        self.common = {
            "batch_size": args.batch_size,
            "data_dir": args.data_dir,
            "name": args.dataset,
            "image_size": args.image_size,
        }
        self.seed = args.seed
        self.validation = imagenet_dataset("validation", **self.common)

    def train(self, first):
        """Endless batches of one size, from number `first` on."""
        epoch, left_out = divmod(first, self.passes)
        train = imagenet_dataset(
            "train", seed=self.seed, initial_epoch=epoch, drop_remainder=True, **self.common
        )
        return train.skip(left_out) if left_out else train


def prepare(args):
    """Finds everything that could be wrong before the first step, and before it writes a file."""
    keras.utils.set_random_seed(args.seed)
    if args.mixed_precision:
        keras.config.set_dtype_policy(f"mixed_{args.mixed_precision}")
    images = Images(args)
    if args.steps_per_epoch is None:
        args.steps_per_epoch = images.passes
    model = new_model(args)
    folder = open_run(args.output, settings(args), resume=args.resume)
    model, progress = load_last(folder) or (model, Progress())
    return model, progress, images, folder


def train(args, model, progress, images, folder):
    parameters = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    print(f"{args.model}: {parameters:,} parameters; {progress.epochs} epochs done; {folder}")
    saver = EpochCheckpoint(folder, progress, every_seconds=600)
    fit_rest(
        model,
        images.train,
        progress,
        args.steps_per_epoch,
        args.epochs,
        validation_data=images.validation,
        callbacks=[saver, StopAtDivergence(steps_done=progress.steps)],
    )


def report(progress):
    accuracies = [row["val_accuracy"] for row in progress.history]
    best = max(accuracies)
    print(f"validation accuracy {accuracies[-1]:.2%}", end="")
    print(f", best {best:.2%} after epoch {accuracies.index(best) + 1}")


def main(argv=None):
    args = parse_arguments(argv)
    try:
        model, progress, images, folder = prepare(args)
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"train_imagenet.py: {error}")
    try:
        train(args, model, progress, images, folder)
    except KeyboardInterrupt:
        sys.exit(
            f"\nStopped after {progress.epochs} epochs; the same command with --resume goes on."
        )
    except (DivergenceError, OSError) as error:
        sys.exit(f"train_imagenet.py: {error}")
    report(progress)


if __name__ == "__main__":
    main()
