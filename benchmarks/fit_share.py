"""Times a step of `fit()` with its pipeline beside the bare step of the network (CIFAR).

    KERAS_BACKEND=torch python benchmarks/fit_share.py
    KERAS_BACKEND=torch python benchmarks/fit_share.py --batch-size 32 --steps 2 --rounds 1

A step through the pipeline shuffles, crops, flips and normalises a batch, takes the step inside
`fit()`, and checks for divergence as a run does; the bare step is `train_on_batch()` with a batch
that is ready. The share is the time spent outside the network: 1 - bare / whole. All take turns;
the figures are medians over the rounds, without the first call of each, which compiles. A share
below zero means that `fit()` saves more than it costs: it need not wait for the device at every
step.
"""

import argparse
import functools
import statistics
import time

import keras
import numpy as np

from keras_dla.data import ArrayDataset, DeviceArrayDataset
from keras_dla.models import get_model, used_options
from keras_dla.training import CIFAR, EndlessBatches, StopAtDivergence, compile_model


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--network", default="dla_l_20")
    add("--batch-size", type=int, default=CIFAR.batch_size)
    add("--steps", type=int, default=4, help="steps per round")
    add("--rounds", type=int, default=2)
    return parser.parse_args()


def new_model(network):
    channels_last = keras.config.image_data_format() == "channels_last"
    model = get_model(
        network,
        classes=100,
        input_shape=(32, 32, 3) if channels_last else (3, 32, 32),
        classifier_activation=None,
        **used_options(network, drop_path=CIFAR.drop_path),
    )
    return compile_model(model, CIFAR, steps_per_epoch=391)


def made_datasets(batch_size) -> dict:
    """The pipelines of arrays over made images, by name."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (50_000, 32, 32, 3), "uint8")
    labels = generator.integers(0, 100, len(images))
    kinds = {"arrays in memory": ArrayDataset}
    if keras.backend.backend() != "tensorflow":  # which would copy them to the host and back
        kinds["arrays on the device"] = DeviceArrayDataset
    return {name: kind(images, labels, batch_size=batch_size) for name, kind in kinds.items()}


def bare(model, batch, steps):
    """Seconds of one step with a batch that is ready."""
    start = time.perf_counter()
    for _ in range(steps):
        model.train_on_batch(*batch)
    return (time.perf_counter() - start) / steps


class StepTimer(keras.callbacks.Callback):
    """The seconds from the first batch of `fit()` to the end of the last step."""

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        keras.ops.convert_to_numpy(logs["loss"])  # waits for the device
        self.seconds = time.perf_counter() - self.start


def through(dataset, model, steps):
    """Seconds of one step of `fit()` with its pipeline."""
    timer = StepTimer()
    model.fit(
        EndlessBatches(dataset),
        steps_per_epoch=steps,
        shuffle=False,
        verbose=0,
        callbacks=[StopAtDivergence(), timer],
    )
    return timer.seconds / steps


def measure(functions, rounds) -> dict:
    for function in functions.values():
        function()
    seconds = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            seconds[name].append(function())
    return {name: statistics.median(values) for name, values in seconds.items()}


def main():
    args = parse_arguments()
    model = new_model(args.network)
    datasets = made_datasets(args.batch_size)
    ready = datasets["arrays in memory"][0]
    functions = {"bare step": functools.partial(bare, model, ready, args.steps)}
    for name, dataset in datasets.items():
        functions[f"fit(), {name}"] = functools.partial(through, dataset, model, args.steps)
    seconds = measure(functions, args.rounds)
    print(f"{keras.backend.backend()}, {args.network}, batch {args.batch_size}")
    print("| what | s per step | share outside the network |")
    print("|---|---|---|")
    for name, value in seconds.items():
        print(f"| {name} | {value:.4f} | {1 - seconds['bare step'] / value:.1%} |")


if __name__ == "__main__":
    main()
