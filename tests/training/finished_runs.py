"""Folders of finished runs without the training, and the few test images of their data set."""

import json
import zipfile

import numpy as np

from keras_dla.models import get_model
from keras_dla.training import Experiment, write_experiment
from keras_dla.training.experiment.pack_weights import predicted_classes
from tests.layers.stages import randomize

NETWORK = "dla_l_11"
IMAGES = np.random.default_rng(3).integers(0, 256, (8, 32, 32, 3)).astype("uint8")
ACCURACY = 0.75
HISTORY = [{"epoch": 1, "val_accuracy": 0.5}, {"epoch": 2, "val_accuracy": ACCURACY}]


def instead_of_cifar(labels):
    """Returns what loads the eight images in place of CIFAR's arrays."""
    return lambda *_, **__: (None, (IMAGES, labels))


def finished_run(folder):
    """Writes what a run leaves whose network takes six of eight images for what they are.

    Returns the network and the labels by which that is so.
    """
    model = randomize(get_model(NETWORK, classes=10, classifier_activation=None, drop_path=0.2))
    folder.mkdir()
    write_experiment(Experiment(NETWORK, "cifar10", epochs=2), folder / "settings.json")
    for name in ("last", "best"):
        model.save(folder / f"{name}.keras")
        with zipfile.ZipFile(folder / f"{name}.keras", "a") as archive:
            archive.writestr("progress.json", json.dumps({"history": HISTORY, "generators": []}))
    labels = (predicted_classes(model, IMAGES).astype("int64") + np.arange(8) // 6) % 10
    return model, labels
