"""Layers under the names that `.keras` files of earlier releases know them by."""

from typing import Any

import keras

from keras_dla.layers.interaction.mrla_base import MRLABase
from keras_dla.layers.interaction.mrla_light import MRLALight


@keras.saving.register_keras_serializable(package="keras_dla")
class BaseLayerAttention(MRLABase):
    """`MRLABase` as a file from before its renaming has it.

    Keras finds the weights in a file by the name of the class, so it has to be the old one while
    the file is read. Once its weights are here the layer is one like all others.
    """

    def load_own_variables(self, store: Any) -> None:
        super().load_own_variables(store)
        self.__class__ = MRLABase


@keras.saving.register_keras_serializable(package="keras_dla")
class LightLayerAttention(MRLALight):
    """`MRLALight` as a file from before its renaming has it; see `BaseLayerAttention`."""

    def load_own_variables(self, store: Any) -> None:
        super().load_own_variables(store)
        self.__class__ = MRLALight
