"""Residual networks whose blocks interact, by name and by builder."""

import keras_dla.utils.needs_keras as _needs_keras  # noqa: F401
from keras_dla.keras_internals.lean_model import LeanModel
from keras_dla.models.add_interaction import add_interaction
from keras_dla.models.dla_resnet import (
    DLAResNet20,
    DLAResNet50,
    DLAResNet56,
    DLAResNet101,
    DLAResNet110,
    DLAResNet152,
    DLAResNet164,
)
from keras_dla.models.fold_batch_norm import fold_batch_norm
from keras_dla.models.registry import get_model, list_models, used_options
from keras_dla.models.resnet import ResNet

__all__ = [
    "DLAResNet20",
    "DLAResNet50",
    "DLAResNet56",
    "DLAResNet101",
    "DLAResNet110",
    "DLAResNet152",
    "DLAResNet164",
    "LeanModel",
    "ResNet",
    "add_interaction",
    "fold_batch_norm",
    "get_model",
    "list_models",
    "used_options",
]
