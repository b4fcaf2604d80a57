"""Layers under the names that they have in `.keras` files of earlier releases."""

from typing import Any

import keras

from keras_dla.layers.interaction.mrla_base import MRLABase
from keras_dla.layers.interaction.mrla_light import MRLALight


@keras.saving.register_keras_serializable(package="keras_dla")
class BaseLayerAttention(MRLABase):
    """`MRLABase` under its former name, for files that were written before it was renamed.

    Keras finds the weights in a file by the name of the class, so it has to be the old one while
    the file is read. Once its weights are loaded, the layer becomes an `MRLABase`.
    """

    def load_own_variables(self, store: Any) -> None:
        super().load_own_variables(store)
        self.__class__ = MRLABase


@keras.saving.register_keras_serializable(package="keras_dla")
class LightLayerAttention(MRLALight):
    """`MRLALight` under its former name; see `BaseLayerAttention`."""

    def load_own_variables(self, store: Any) -> None:
        super().load_own_variables(store)
        self.__class__ = MRLALight
