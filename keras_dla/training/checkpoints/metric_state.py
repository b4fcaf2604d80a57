"""The running means of an epoch, which Keras does not store in a model file."""

from collections.abc import Iterable

import keras
import numpy as np
from keras import ops

from keras_dla.keras_internals.private_names import build_all


def get_metrics(model: keras.Model) -> list:
    """Returns the state of the model's metrics as JSON values."""
    return [
        ops.convert_to_numpy(ops.convert_to_tensor(variable)).tolist()
        for variable in model.metrics_variables
    ]


def set_metrics(model: keras.Model, values: list) -> None:
    """Restores the state that `get_metrics()` returned for a model with the same metrics."""
    for variable, value in zip(model.metrics_variables, values, strict=True):
        variable.assign(np.array(value, variable.dtype))


def build_metrics(model: keras.Model, batches: Iterable) -> None:
    """Creates the metrics of a loaded model, so that `set_metrics()` finds them.

    `fit()` would create them too, but with TensorFlow not before the first step.

    Args:
        model: a compiled model.
        batches: training data: a `keras.utils.PyDataset`, a `tf.data.Dataset` or another iterable.
    """
    build_all(model, _example(batches))


def _example(batches):
    """Returns a batch, or its specification if a batch would start the whole pipeline."""
    if isinstance(batches, keras.utils.PyDataset):
        return batches[0]
    return batches.element_spec if hasattr(batches, "element_spec") else next(iter(batches))
