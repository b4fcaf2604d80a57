"""Data sets for training: CIFAR through tf.data, arrays in memory, embedded pictures.

Importing this module imports no TensorFlow, tensorflow-datasets or KerasCV; the functions
that need them import them when called.
"""

from keras_dla.data.blood_cells import (
    BLOOD_CELL_CLASSES,
    BLOOD_CELL_MEAN,
    BLOOD_CELL_STD,
    load_blood_cells,
)
from keras_dla.data.cifar import cifar_dataset, cifar_steps_per_epoch
from keras_dla.data.cifar_arrays import load_cifar_arrays
from keras_dla.data.in_memory import ArrayDataset
from keras_dla.data.normalization import CIFAR_MEAN, CIFAR_STD

__all__ = [
    "BLOOD_CELL_CLASSES",
    "BLOOD_CELL_MEAN",
    "BLOOD_CELL_STD",
    "CIFAR_MEAN",
    "CIFAR_STD",
    "ArrayDataset",
    "cifar_dataset",
    "cifar_steps_per_epoch",
    "load_blood_cells",
    "load_cifar_arrays",
]
