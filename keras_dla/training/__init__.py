"""Training as in the paper: the optimizer, the schedule, the recipe, and runs that resume."""

from keras_dla.training.checkpoints import EpochCheckpoint, Progress, load_last
from keras_dla.training.endless import EndlessBatches
from keras_dla.training.metrics import TopKAccuracy
from keras_dla.training.recipes import CIFAR, Recipe, compile_model
from keras_dla.training.runs import open_run
from keras_dla.training.schedules import MultiStepDecay
from keras_dla.training.sgd import SGD

__all__ = [
    "CIFAR",
    "SGD",
    "EndlessBatches",
    "EpochCheckpoint",
    "MultiStepDecay",
    "Progress",
    "Recipe",
    "TopKAccuracy",
    "compile_model",
    "load_last",
    "open_run",
]
