"""Data sets for training: CIFAR and ImageNet through tf.data, arrays in memory, bundled
images, and images with objects for detectors: COCO's format, tensorflow-datasets, shapes
made on the fly.

Importing this module imports no TensorFlow, tensorflow-datasets, KerasCV, Pillow or
pycocotools; the functions that need them import them when called.
"""

import keras_dla.utils.needs_keras as _needs_keras  # noqa: F401
from keras_dla.data.blood_cells import (
    BLOOD_CELL_CLASSES,
    BLOOD_CELL_MEAN,
    BLOOD_CELL_STD,
    load_blood_cells,
)
from keras_dla.data.classification.array_dataset import ArrayDataset
from keras_dla.data.classification.cifar import cifar_dataset, cifar_steps_per_epoch
from keras_dla.data.classification.cifar_arrays import load_cifar_arrays
from keras_dla.data.classification.device_array_dataset import DeviceArrayDataset
from keras_dla.data.classification.imagenet import (
    imagenet_classes,
    imagenet_dataset,
    imagenet_steps_per_epoch,
)
from keras_dla.data.detection.augmentation import DetectionAugmentation
from keras_dla.data.detection.coco_source import CocoSource
from keras_dla.data.detection.dataset import DetectionDataset, common_padded_shape
from keras_dla.data.detection.preparation import ImagePreparation
from keras_dla.data.detection.shapes_source import ShapesSource
from keras_dla.data.detection.tfds_source import TfdsSource
from keras_dla.data.detection.voc_source import VocSource
from keras_dla.data.images import read_image
from keras_dla.data.normalization import CIFAR_MEAN, CIFAR_STD, IMAGENET_MEAN, IMAGENET_STD

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
    "DetectionAugmentation",
    "DetectionDataset",
    "DeviceArrayDataset",
    "ImagePreparation",
    "ShapesSource",
    "TfdsSource",
    "VocSource",
    "cifar_dataset",
    "cifar_steps_per_epoch",
    "common_padded_shape",
    "imagenet_classes",
    "imagenet_dataset",
    "imagenet_steps_per_epoch",
    "load_blood_cells",
    "load_cifar_arrays",
    "read_image",
]
