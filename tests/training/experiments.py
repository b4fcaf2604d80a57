"""Experiments on a few random images in place of CIFAR.

As a script (`python -m tests.training.experiments FOLDER EPOCH STEP`) it kills itself before a
step of an epoch.
"""

import os
import signal
import sys

import keras
import numpy as np

from keras_dla.models import ResNet
from keras_dla.training import Experiment, run_experiment
from keras_dla.training.experiment import data as experiment_data
from keras_dla.training.experiment import run as experiment_run
from tests.backends import draw_quickly

CLASSES = {"cifar10": 10, "cifar100": 100}


def arrays(name, data_dir=None):
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (12, 32, 32, 3)).astype("uint8")
    labels = generator.integers(0, CLASSES[name], 12)
    return (images, labels), (images[:4], labels[:4])


def two_layers(
    name, classes, input_shape, classifier_activation, drop_path=0.0, formulation="official"
):
    """What `get_model()` may be replaced by: layer attention and drop path, quick to compile."""
    return ResNet(
        (2,),
        "dla_l",
        classes=classes,
        input_shape=input_shape,
        planes=(16,),
        drop_path=drop_path,
        formulation=formulation,
        classifier_activation=classifier_activation,
    )


def smallest(name, classes, input_shape, unit="", **_):
    """The same where any network will do."""
    layers = [keras.layers.Flatten(), keras.layers.Dense(classes)]
    return keras.Sequential([keras.Input(input_shape), *layers])


def small(**changed):
    """An epoch of four steps, the images shuffled anew within it."""
    fields = {"model": "dla_l_11", "dataset": "cifar10", "epochs": 2, "batch_size": 4}
    return Experiment(**{**fields, "steps_per_epoch": 4, "data": "memory", **changed})


class Act(keras.callbacks.Callback):
    """Does something before a step."""

    def __init__(self, epoch, step, act):
        super().__init__()
        self.place, self.act = (epoch, step), act

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (self.epoch, batch) == self.place:
            self.act()


if __name__ == "__main__":
    draw_quickly()  # as the tests do that compare with this run
    experiment_data.load_cifar_arrays = arrays
    experiment_run.get_model = two_layers
    kill = Act(int(sys.argv[2]), int(sys.argv[3]), lambda: os.kill(os.getpid(), signal.SIGKILL))
    run_experiment(small(), sys.argv[1], checkpoint_steps=1, callbacks=[kill], verbose=0)
