"""Trains a network of the paper on ImageNet with the paper's recipe.

    KERAS_BACKEND=jax python examples/train_imagenet.py --model dla_l_50 --data-dir DATA

DATA is the folder in which tensorflow-datasets has prepared imagenet2012 (tfds build imagenet2012);
the error for a missing data set has the full command. The run's folder gets a log (`log.csv`), the
best model (`best.keras`) and the state to resume from (`last.keras`): after Ctrl-C, a kill or a
power cut, the same command with `--resume` continues from the last state, with the same result.
With `--devices 8`, eight devices share every batch.
"""

import argparse
import dataclasses
import math
import sys

import keras

from keras_dla.data import imagenet_classes, imagenet_dataset, imagenet_steps_per_epoch
from keras_dla.models import get_model, used_options
from keras_dla.training import (
    IMAGENET,
    DivergenceError,
    EpochCheckpoint,
    EventFiles,
    Progress,
    StopAtDivergence,
    compile_model,
    is_main_process,
    keep_freed_memory,
    launch,
    load_last,
    local_batches,
    open_run,
    parallel_model,
    resume_fit,
    set_random_seed,
    synchronize_batch_norm,
)
from keras_dla.training.devices.devices import check_batch_size
from keras_dla.training.run_folder.disk_space import check_disk_space, check_writable
from keras_dla.training.run_folder.folder import holds_run
from keras_dla.training.run_folder.tensorboard import has_tensorboard
from keras_dla.training.run_folder.versions import note_versions

# The place of the run's files and the machines that train it are not part of its settings.
NO_SETTINGS = {"data_dir", "output", "resume", "devices", "hosts", "host"}


def parse_arguments(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--model",
        default="dla_l_50",
        help="such as resnet_50, mrla_l_101, dla_l_101 (default: %(default)s)",
    )
    add(
        "--formulation",
        choices=("official", "paper", "verbatim"),
        default="official",
        help="the authors' network (official, the default), Eq. 1-9 of the paper (paper), or the "
        "authors' code including its batch-index slip (verbatim)",
    )
    add(
        "--dataset",
        default="imagenet2012",
        help="a data set of labelled images in --data-dir (default: %(default)s)",
    )
    add(
        "--data-dir",
        metavar="DIR",
        help="folder of tensorflow-datasets (default: ~/tensorflow_datasets)",
    )
    add(
        "--epochs",
        type=int,
        default=IMAGENET.epochs,
        metavar="N",
        help="number of epochs; the drops of the learning rate move in proportion (default: "
        "%(default)s)",
    )
    add(
        "--batch-size",
        type=int,
        default=IMAGENET.batch_size,
        metavar="N",
        help="images per step (default: %(default)s)",
    )
    add(
        "--image-size",
        type=int,
        default=224,
        metavar="PIXELS",
        help="height and width of the images (default: %(default)s)",
    )
    add(
        "--attention-weight-decay",
        type=float,
        metavar="X",
        help="L2 penalty of block attentions and layer interactions (default: that of all weights, "
        f"{IMAGENET.weight_decay})",
    )
    add(
        "--steps-per-epoch",
        type=int,
        metavar="N",
        help="for a trial: end each epoch after this many steps (default: after all images)",
    )
    add("--seed", type=int, default=0, metavar="N", help="seed of weights and data (default: 0)")
    add("--mixed-precision", choices=("float16", "bfloat16"), help="default: float32 throughout")
    add("--output", help="folder of the run (default: runs/DATASET-MODEL-FORMULATION-SEED)")
    add("--resume", action="store_true", help="resume the run in the folder")
    add("--devices", type=int, default=1, metavar="N", help="devices per machine (default: 1)")
    add(
        "--hosts",
        nargs="+",
        default=[],
        metavar="HOST:PORT",
        help="all machines, in the same order everywhere (default: only this one)",
    )
    add(
        "--host",
        type=int,
        default=0,
        metavar="N",
        help="number of this machine in --hosts, from 0 (default: 0)",
    )
    add("--sync-batch-norm", action="store_true", help="compute batch statistics over all devices")
    args = parser.parse_args(argv)
    dataset = args.dataset.replace("/", "_")
    args.output = args.output or f"runs/{dataset}-{args.model}-{args.formulation}-{args.seed}"
    return args


def settings(args):
    """Returns the settings that identify the run."""
    # Runs of earlier versions do not have this entry.
    left_out = NO_SETTINGS if args.sync_batch_norm else NO_SETTINGS | {"sync_batch_norm"}
    names = vars(args).keys() - left_out
    return {"backend": keras.backend.backend(), **{name: vars(args)[name] for name in names}}


def new_model(args):
    recipe = dataclasses.replace(
        IMAGENET.scaled(args.epochs),
        batch_size=args.batch_size,
        attention_weight_decay=args.attention_weight_decay,
    )
    channels_last = keras.config.image_data_format() == "channels_last"
    sides = (args.image_size, args.image_size)
    options = used_options(args.model, drop_path=recipe.drop_path)
    # Given for a network without formulations it is a mistake, which the network refuses.
    if args.formulation != "official":
        options["formulation"] = args.formulation
    model = get_model(
        args.model,
        classes=imagenet_classes(args.data_dir, args.dataset),
        input_shape=(*sides, 3) if channels_last else (3, *sides),
        classifier_activation=None,
        **options,
    )
    if args.sync_batch_norm:
        synchronize_batch_norm(model)
    return compile_model(model, recipe, args.steps_per_epoch)


class Images:
    """The batches, and the step at which training starts."""

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
        """Returns endless batches of one size, starting with number `first`."""
        epoch, left_out = divmod(first, self.passes)
        train = imagenet_dataset(
            "train",
            seed=self.seed,
            initial_epoch=epoch,
            initial_step=left_out,
            drop_remainder=True,
            **self.common,
        )
        return local_batches(train)


def check_validation(args):
    """Checks that the last test batch is divisible on JAX, as the other batches then are."""
    images = imagenet_steps_per_epoch("validation", 1, args.data_dir, args.dataset)
    if keras.backend.backend() == "jax" and images % args.devices:
        raise ValueError(
            f"`devices` must divide the {images} images of the validation split on JAX, but "
            f"is {args.devices}."
        )


def prepare(args):
    """Prepares the run, with all checks before the first step and before any file is written."""
    check_writable(args.output)
    check_validation(args)
    set_random_seed(args.seed)
    if args.mixed_precision:
        keras.config.set_dtype_policy(f"mixed_{args.mixed_precision}")
    images = Images(args)
    if args.steps_per_epoch is None:
        args.steps_per_epoch = images.passes
    holds_run(args.output, settings(args))
    model = new_model(args)
    check_disk_space(args.output, model)
    folder = open_run(args.output, settings(args), resume=args.resume)
    model, progress = load_last(folder) or (model, Progress())
    return parallel_model(model), progress, images, folder


def train(args):
    """Trains; runs in every process of `launch()`."""
    keep_freed_memory()
    model, progress, images, folder = prepare(args)
    callbacks = [
        EpochCheckpoint(folder, progress, every_seconds=600),
        StopAtDivergence(steps_done=progress.steps),
    ]
    if is_main_process():
        parameters = sum(math.prod(weight.shape) for weight in model.trainable_weights)
        print(f"{args.model}: {parameters:,} parameters; {progress.epochs} epochs done; {folder}")
        note_versions(folder, progress.epochs)
        callbacks += [EventFiles(folder, progress)] if has_tensorboard() else []
    try:
        resume_fit(
            model,
            images.train,
            progress,
            args.steps_per_epoch,
            args.epochs,
            validation_data=images.validation,
            callbacks=callbacks,
            verbose="auto" if is_main_process() else 0,
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f" after {progress.epochs} epochs") from None
    if is_main_process():
        report(progress)


def report(progress):
    accuracies = [row["val_accuracy"] for row in progress.history]
    best = max(accuracies)
    print(f"validation accuracy {accuracies[-1]:.2%}", end="")
    print(f", best {best:.2%} after epoch {accuracies.index(best) + 1}")


def main(argv=None):
    args = parse_arguments(argv)
    try:
        check_batch_size(args.batch_size, args.devices, args.hosts)
        launch(train, args.devices, (args,), args.hosts, args.host)
    except KeyboardInterrupt as stop:
        sys.exit(f"\nStopped{stop}; the same command with --resume continues.")
    except (DivergenceError, ValueError, OSError, ImportError, MemoryError) as error:
        sys.exit(f"train_imagenet.py: {error}")


if __name__ == "__main__":
    main()
