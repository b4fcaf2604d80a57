"""Layers of a stage with random weights, called directly or as a small functional model."""

import keras
import numpy as np

from keras_dla.layers import (
    DynamicLayerAttention,
    LayerwiseInformationIntegration,
    MRLABase,
    MRLALight,
)

CHANNELS = 64

INTERACTIONS = {
    "mrla_b": MRLABase,
    "mrla_l": MRLALight,
    "dla_b": lambda depth, **kwargs: DynamicLayerAttention(depth, "base", **kwargs),
    "dla_l": lambda depth, **kwargs: DynamicLayerAttention(depth, "light", **kwargs),
    "lii": LayerwiseInformationIntegration,
}


def channels_first(maps, data_format):
    """Returns maps in `data_format` as NCHW, in NumPy."""
    maps = keras.ops.convert_to_numpy(keras.ops.cast(maps, "float32"))
    return maps if data_format == "channels_first" else maps.transpose(0, 3, 1, 2)


def from_channels_first(maps, data_format):
    return maps if data_format == "channels_first" else maps.transpose(0, 2, 3, 1)


def randomize(layer, seed=0):
    """Gives every weight a random value of its own, also those that begin with 0 or 1."""
    rng = np.random.default_rng(seed)
    for weight in layer.weights:
        if "seed_generator" in weight.path:
            continue
        value = rng.normal(0, 0.3, weight.shape)
        if "variance" in weight.path or "gamma" in weight.path:
            value = 0.5 + np.abs(value)
        weight.assign(value.astype("float32"))
    return layer


def random_maps(depth, batch=3, height=5, width=4, channels=CHANNELS, seed=1):
    """Returns `depth` residual branches and as many shortcuts, NCHW."""
    rng = np.random.default_rng(seed)
    shape = (depth, batch, channels, height, width)
    return rng.normal(size=shape).astype("float32"), rng.normal(size=shape).astype("float32")


def interaction(name, depth, data_format="channels_last", seed=0, channels=CHANNELS, **kwargs):
    """Returns a built layer with random weights."""
    layer = INTERACTIONS[name](depth, data_format=data_format, **kwargs)
    shape = (None, None, None, channels)
    layer.build(shape if data_format == "channels_last" else (None, channels, None, None))
    return randomize(layer, seed)


def run(layer, branches, shortcuts=None, training=False):
    """Calls `layer` once for every branch (NCHW); returns its outputs (NCHW) and last state."""
    outputs, state = [], None
    for index, branch in enumerate(branches):
        shortcut = None
        if shortcuts is not None:
            shortcut = from_channels_first(shortcuts[index], layer.data_format)
        features = from_channels_first(branch, layer.data_format)
        kwargs = {"shortcut": shortcut, "index": index, "training": training}
        output, state = layer(features, state, **kwargs)
        outputs.append(channels_first(output, layer.data_format))
    return np.stack(outputs), state


def functional(layer, depth=3, channels=CHANNELS, size=(None, None), output_dtype=None):
    """Returns a model that calls `layer` `depth` times; every output is the next branch."""
    shape = (*size, channels) if layer.data_format == "channels_last" else (channels, *size)
    images = keras.Input(shape)
    x, state = images, None
    for index in range(depth):
        x, state = layer(x, state, shortcut=images, index=index)
    if output_dtype is not None:
        x = keras.layers.Activation("linear", dtype=output_dtype)(x)
    return keras.Model(images, x)
