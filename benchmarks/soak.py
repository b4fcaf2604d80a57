"""Measures resident memory while a network trains and tests, to see whether it stops growing.

    KERAS_BACKEND=tensorflow python benchmarks/soak.py --steps 2000

Prints the process's memory at regular intervals, and how much each step adds in each quarter of
the run. Linux only.
"""

import argparse
import gc
import itertools
import os
from pathlib import Path

import keras
import numpy as np

from keras_dla.data import ArrayDataset
from keras_dla.models import ResNet
from keras_dla.training import CIFAR, EndlessBatches, compile_model

BATCH, SIDE, CLASSES = 8, 16, 10


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--every", type=int, default=100, help="steps per epoch of fit")
    return parser.parse_args()


def resident() -> int:
    """Returns the memory of this process in bytes."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class Memory(keras.callbacks.Callback):
    """Notes the memory after every epoch, and prints it."""

    def __init__(self):
        super().__init__()
        self.bytes = []

    def on_epoch_end(self, epoch, logs=None):
        self.bytes.append(resident())
        steps = (epoch + 1) * self.params["steps"]
        print(f"{steps:6d} steps: {self.bytes[-1] / 1e6:8.1f} MB", flush=True)


def main():
    args = parse_arguments()
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (256, SIDE, SIDE, 3)).astype("uint8")
    labels = generator.integers(0, CLASSES, 256)
    data = ArrayDataset(images, labels, BATCH, data_format="channels_last")
    test = ArrayDataset(
        images, labels, BATCH, augment=False, shuffle=False, data_format="channels_last"
    )
    model = ResNet(
        (2, 2),
        "dla_l",
        classes=CLASSES,
        planes=(8, 16),
        input_shape=(SIDE, SIDE, 3),
        data_format="channels_last",
        classifier_activation=None,
    )
    memory = Memory()
    epochs = args.steps // args.every
    if epochs < 5:
        raise SystemExit("soak.py: --steps must be at least five times --every.")
    compile_model(model, CIFAR.scaled(epochs), args.every).fit(
        EndlessBatches(data),
        steps_per_epoch=args.every,
        epochs=epochs,
        shuffle=False,
        validation_data=test,
        callbacks=[memory],
        verbose=0,
    )
    ends = [quarter * (epochs - 1) // 4 for quarter in range(5)]
    for number, (first, last) in enumerate(itertools.pairwise(ends), start=1):
        per_step = (memory.bytes[last] - memory.bytes[first]) / (last - first) / args.every
        print(f"{keras.backend.backend()}, quarter {number}: {per_step / 1e3:.2f} kB per step")


if __name__ == "__main__":
    main()
