"""The config entries of every Keras layer, and copies of layers made from their config."""

from typing import Any

import keras

from keras_dla.keras_internals.without_tensorflow import without_tensorflow


def base_config(layer: keras.layers.Layer) -> dict[str, Any]:
    """Returns the same as `keras.layers.Layer.get_config`, without importing TensorFlow.

    Keras serialises a dtype policy as an object and looks for TensorFlow's types on the way, which
    costs seconds and hundreds of megabytes with another backend. The policy's name is enough.
    """
    policy = layer.dtype_policy
    plain = type(policy) is keras.dtype_policies.DTypePolicy
    config = {
        "name": layer.name,
        "trainable": layer.trainable,
        "dtype": policy.name if plain else keras.dtype_policies.serialize(policy),
    }
    if layer.activity_regularizer is not None:
        config["activity_regularizer"] = keras.regularizers.serialize(layer.activity_regularizer)
    return config


def clone_layer(
    layer: keras.layers.Layer, config: dict | None = None, **changes: Any
) -> keras.layers.Layer:
    """Returns a new layer with the settings of `layer`, except for `changes`.

    Args:
        layer: the layer to copy.
        config: optional dictionary, its settings; defaults to its `get_config()`.
        **changes: settings of the new layer.
    """
    with without_tensorflow():
        return type(layer).from_config({**(config or layer.get_config()), **changes})
