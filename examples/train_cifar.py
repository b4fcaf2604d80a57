"""Trains a network of the paper on CIFAR-10 or CIFAR-100 with the paper's recipe.

    KERAS_BACKEND=jax python examples/train_cifar.py --dataset cifar100 --model dla_l_20

The run's folder gets a log (`log.csv`), the best model (`best.keras`) and the state to resume from
(`last.keras`): after Ctrl-C, a kill or a power cut, the same command with `--resume` continues from
the last state, with the same result. With `--devices 8`, eight devices share every batch.
"""

import argparse
import math
import sys

from keras_dla.training import (
    CIFAR,
    DivergenceError,
    Experiment,
    is_main_process,
    keep_freed_memory,
    launch,
    prepare_experiment,
)
from keras_dla.training.experiment.run import check_devices


def parse_arguments(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--dataset",
        choices=("cifar10", "cifar100"),
        default="cifar100",
        help="default: %(default)s",
    )
    add(
        "--model",
        default="dla_l_20",
        help="such as resnet_20, se_56, mrla_l_20, dla_b_110 (default: %(default)s)",
    )
    add(
        "--formulation",
        choices=("official", "paper", "verbatim"),
        default="official",
        help="the authors' network (official, the default), Eq. 1-9 of the paper (paper), or the "
        "authors' code including its batch-index slip (verbatim)",
    )
    add(
        "--epochs",
        type=int,
        default=CIFAR.epochs,
        metavar="N",
        help="number of epochs; the drops of the learning rate move in proportion (default: "
        "%(default)s)",
    )
    add(
        "--batch-size",
        type=int,
        default=CIFAR.batch_size,
        metavar="N",
        help="images per step (default: %(default)s)",
    )
    add(
        "--steps-per-epoch",
        type=int,
        metavar="N",
        help="for a trial: end each epoch after this many steps (default: after all images)",
    )
    add("--seed", type=int, default=0, metavar="N", help="seed of weights and data (default: 0)")
    add("--mixed-precision", choices=("float16", "bfloat16"), help="default: float32 throughout")
    add(
        "--data",
        choices=("tfds", "memory"),
        help="tf.data or arrays in memory (default: depends on the backend)",
    )
    add(
        "--data-dir",
        metavar="DIR",
        help="folder in which tensorflow-datasets has prepared the data (default: download it)",
    )
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
    return parser.parse_args(argv)


def experiment_of(args):
    return Experiment(
        model=args.model,
        dataset=args.dataset,
        formulation=args.formulation,
        seed=args.seed,
        epochs=args.epochs,
        batch_size=args.batch_size,
        steps_per_epoch=args.steps_per_epoch,
        precision=f"mixed_{args.mixed_precision}" if args.mixed_precision else "float32",
        sync_batch_norm=args.sync_batch_norm,
        data=args.data,
    )


def prepare(args):
    experiment = experiment_of(args)
    folder = args.output or f"runs/{experiment.name}"
    return prepare_experiment(experiment, folder, args.data_dir, resume=args.resume)


def train(args):
    """Trains; runs in every process of `launch()`."""
    keep_freed_memory()
    run = prepare(args)
    if is_main_process():
        parameters = sum(math.prod(weight.shape) for weight in run.model.trainable_weights)
        done = run.progress.epochs
        print(f"{args.model}: {parameters:,} parameters; {done} epochs done; {run.folder}")
    try:
        result = run.train()
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f" after {run.progress.epochs} epochs") from None
    if is_main_process():
        report(result)


def report(result):
    best = result.best
    print(f"test accuracy {result.accuracy:.2%}", end="")
    print(f", best {best['val_accuracy']:.2%} after epoch {best['epoch']:.0f}")


def main(argv=None):
    args = parse_arguments(argv)
    try:
        check_devices(experiment_of(args), args.devices, args.hosts)
        launch(train, args.devices, (args,), args.hosts, args.host)
    except KeyboardInterrupt as stop:
        sys.exit(f"\nStopped{stop}; the same command with --resume continues.")
    except (DivergenceError, ValueError, OSError, ImportError, MemoryError) as error:
        sys.exit(f"train_cifar.py: {error}")


if __name__ == "__main__":
    main()
