"""Small models with layer attention, and the features that their layers see."""

import keras
import numpy as np

from tests.layers.stages import CHANNELS, from_channels_first, random_maps

DEPTH = 3
# So that the layers of one image see different features.
FACTORS = (1.0, -0.7, 0.4)


def random_images(batch=5):
    """NCHW maps with as many channels as the layers take."""
    return random_maps(1, batch)[0][0] + 0.2


def features_of_layers(maps):
    """What layer 1, 2, 3 of `stage_model` sees of `maps`, in float64."""
    return [maps.astype("float64") * factor for factor in FACTORS]


def stage_model(layer, channels=CHANNELS, shortcut=False):
    """A functional model that calls `layer` once for each of `FACTORS`; returns its output and
    what it remembers.
    """
    channels_last = layer.data_format == "channels_last"
    images = keras.Input((None, None, channels) if channels_last else (channels, None, None))
    state = None
    for index, factor in enumerate(FACTORS):
        features = keras.layers.Rescaling(factor)(images)
        output, state = layer(features, state, index=index, shortcut=images if shortcut else None)
    return keras.Model(images, [output, state])


class OwnModel(keras.Model):
    """A subclassed model that Keras builds at its first call."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def call(self, images):
        state = None
        for index, factor in enumerate(FACTORS):
            output, state = self.layer(images * factor, state, index=index)
        return output


def in_format(maps, layer):
    """NCHW maps in the layer's data format."""
    return np.ascontiguousarray(from_channels_first(maps, layer.data_format))
