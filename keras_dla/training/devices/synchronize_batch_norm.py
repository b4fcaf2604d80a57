"""Finds the BN layers of a model and makes them take their statistics over all devices."""

import keras

from keras_dla.keras_internals.private_names import all_layers
from keras_dla.layers.core.batch_normalization import BatchNormalization


def synchronize(model: keras.layers.Layer) -> keras.layers.Layer:
    """See `keras_dla.training.synchronize_batch_norm`."""
    norms = [
        layer for layer in all_layers(model) if isinstance(layer, keras.layers.BatchNormalization)
    ]
    for norm in norms:
        _check(norm)
    for norm in norms:
        if isinstance(norm, BatchNormalization):
            norm.synchronize()
        elif keras.backend.backend() == "tensorflow":
            norm.synchronized = True
    return model


def _check(norm):
    if keras.backend.backend() == "torch" and not isinstance(norm, BatchNormalization):
        raise ValueError(
            f"The layer {norm.path!r} must be a keras_dla.layers.BatchNormalization to be "
            f"synchronised on torch, but is a {type(norm).__name__}."
        )
