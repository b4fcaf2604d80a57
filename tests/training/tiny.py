"""A run of a tiny network with everything that a checkpoint has to carry.

As a script (`python -m tests.training.tiny FOLDER EPOCHS EVERY_STEPS`) it is what the tests kill.
"""

import sys
from pathlib import Path

import keras
import numpy as np

from keras_dla.training import (
    CIFAR,
    EpochCheckpoint,
    Progress,
    compile_model,
    load_last,
    open_run,
    resume_fit,
)

BATCHES = 4


class Batches(keras.utils.PyDataset):
    """Random batches: where there is an end, few; else a function of the place alone."""

    def __init__(self, first, size=None):
        super().__init__()
        self.first = first
        self.size = size

    @property
    def num_batches(self):
        return self.size

    def __getitem__(self, index):
        generator = np.random.default_rng(self.first + index)
        return generator.normal(size=(8, 6)).astype("float32"), generator.integers(0, 3, 8)


VALIDATION = Batches(first=1_000_000, size=3)


def new_model(epochs):
    """Has batch statistics and random numbers, with a seed and without."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential([keras.Input((6,)), layers.Dense(8), layers.BatchNormalization()])
    model.add(layers.Dropout(0.5))
    model.add(layers.GaussianNoise(0.1, seed=1))
    model.add(layers.Dense(3))
    return compile_model(model, CIFAR.scaled(epochs), steps_per_epoch=BATCHES)


def run(folder, epochs, callbacks=(), until=None, every_steps=None, steps=BATCHES):
    """Starts a run or goes on with it; `until` stops before its end."""
    open_run(folder, {"epochs": epochs}, resume=True)
    model, progress = load_last(folder) or (new_model(epochs), Progress())
    resume_fit(
        model,
        Batches,
        progress,
        steps_per_epoch=steps,
        epochs=epochs if until is None else until,
        validation_data=VALIDATION,
        callbacks=[EpochCheckpoint(folder, progress, every_steps=every_steps), *callbacks],
        verbose=0,
    )
    return model


if __name__ == "__main__":
    run(Path(sys.argv[1]), int(sys.argv[2]), every_steps=int(sys.argv[3]) or None)
