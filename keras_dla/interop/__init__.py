"""Imports weights of other code, and exports networks and weights to other formats."""

import keras_dla.utils.needs_keras as _needs_keras  # noqa: F401
from keras_dla.interop.exporting import export_model
from keras_dla.interop.load_checkpoint import load_checkpoint
from keras_dla.interop.official_checkpoint import load_official_checkpoint
from keras_dla.interop.pretrained_resnet import Loaded, load_pretrained_resnet
from keras_dla.interop.save_official_checkpoint import save_official_checkpoint

__all__ = [
    "Loaded",
    "export_model",
    "load_checkpoint",
    "load_official_checkpoint",
    "load_pretrained_resnet",
    "save_official_checkpoint",
]
