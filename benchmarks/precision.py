"""Trains one network in float32 and in mixed precision, to see what the precision costs.

    KERAS_BACKEND=jax python benchmarks/precision.py
    KERAS_BACKEND=tensorflow python benchmarks/precision.py --network se_20 --epochs 2 --seeds 1

The data are the bundled photographs of blood cells: 840 for training, 198 for testing. Every
precision is trained with the same seeds: the same initial values, batches and augmentation. The
table shows means over the seeds; one test image is 0.5 %. On a CPU, PyTorch's 16-bit kernels are
many times slower than its 32-bit ones.
"""

import argparse
import dataclasses
import statistics
import time

import keras

from keras_dla.data import (
    BLOOD_CELL_CLASSES,
    BLOOD_CELL_MEAN,
    BLOOD_CELL_STD,
    ArrayDataset,
    load_blood_cells,
)
from keras_dla.models import get_model
from keras_dla.training import CIFAR, compile_model

POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")
# The quickstart's recipe: CIFAR's optimiser, for few and small batches.
RECIPE = dataclasses.replace(
    CIFAR,
    name="precision",
    epochs=4,
    batch_size=28,
    learning_rate=0.05,
    milestones=(3,),
    warmup_epochs=1,
    drop_path=0.0,
)


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", default="dla_l_11")
    parser.add_argument("--epochs", type=int, default=RECIPE.epochs)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--policies", nargs="+", choices=POLICIES, default=POLICIES)
    return parser.parse_args()


def datasets(batch_size, seed):
    train, test = load_blood_cells()
    normal = {"mean": BLOOD_CELL_MEAN, "std": BLOOD_CELL_STD}
    return (
        ArrayDataset(*train, batch_size=batch_size, seed=seed, **normal),
        ArrayDataset(*test, batch_size=66, augment=False, shuffle=False, **normal),
    )


def trained(policy, network, recipe, seed) -> dict:
    """Returns the last loss in training, loss and accuracy in the test, and the seconds."""
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(policy)
    train, test = datasets(recipe.batch_size, seed)
    model = get_model(network, classes=len(BLOOD_CELL_CLASSES), classifier_activation=None)
    compile_model(model, recipe, steps_per_epoch=len(train))
    start = time.perf_counter()
    history = model.fit(train, epochs=recipe.epochs, shuffle=False, verbose=0).history
    seconds = time.perf_counter() - start
    found = model.evaluate(test, verbose=0, return_dict=True)
    return {
        "training loss": history["loss"][-1],
        "test loss": found["loss"],
        "test accuracy": found["accuracy"],
        "seconds": seconds,
    }


def main():
    args = parse_arguments()
    recipe = RECIPE.scaled(args.epochs)
    print(f"{keras.backend.backend()}, {args.network}, {args.epochs} epochs, {args.seeds} seeds")
    print("| precision | training loss | test loss | test accuracy | by seed | seconds per run |")
    print("|---|---|---|---|---|---|")
    for policy in args.policies:
        runs = [trained(policy, args.network, recipe, seed) for seed in range(args.seeds)]
        mean = {name: statistics.mean(run[name] for run in runs) for name in runs[0]}
        accuracies = ", ".join(f"{run['test accuracy']:.1%}" for run in runs)
        print(
            f"| {policy} | {mean['training loss']:.3f} | {mean['test loss']:.3f} "
            f"| {mean['test accuracy']:.2%} | {accuracies} | {mean['seconds']:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
