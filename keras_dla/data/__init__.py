"""Data sets for training: CIFAR and ImageNet through tf.data, arrays in memory, embedded
pictures, and pictures with objects for detectors: COCO's format, tensorflow-datasets, shapes
made on the fly.

Importing this module imports no TensorFlow, tensorflow-datasets, KerasCV, Pillow or
pycocotools; the functions that need them import them when called.
"""

from keras_dla.data.blood_cells import (
    BLOOD_CELL_CLASSES,
    BLOOD_CELL_MEAN,
    BLOOD_CELL_STD,
    load_blood_cells,
)
from keras_dla.data.cifar import cifar_dataset, cifar_steps_per_epoch
from keras_dla.data.cifar_arrays import load_cifar_arrays
from keras_dla.data.coco_source import CocoSource
from keras_dla.data.detection_dataset import DetectionDataset, common_padded_shape
from keras_dla.data.imagenet import imagenet_classes, imagenet_dataset, imagenet_steps_per_epoch
from keras_dla.data.in_memory import ArrayDataset
from keras_dla.data.normalization import CIFAR_MEAN, CIFAR_STD, IMAGENET_MEAN, IMAGENET_STD
from keras_dla.data.on_device import DeviceArrayDataset
from keras_dla.data.shapes_source import ShapesSource
from keras_dla.data.tfds_source import TfdsSource

__all__ = [
    "BLOOD_CELL_CLASSES",
    "BLOOD_CELL_MEAN",
    "BLOOD_CELL_STD",
    "CIFAR_MEAN",
    "CIFAR_STD",
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "ArrayDataset",
    "CocoSource",
    "DetectionDataset",
    "DeviceArrayDataset",
    "ShapesSource",
    "TfdsSource",
    "cifar_dataset",
    "cifar_steps_per_epoch",
    "common_padded_shape",
    "imagenet_classes",
    "imagenet_dataset",
    "imagenet_steps_per_epoch",
    "load_blood_cells",
    "load_cifar_arrays",
]
