"""The running means of an epoch, which a model file of Keras leaves out."""

import keras
import numpy as np
from keras import ops


def get_metrics(model: keras.Model) -> list:
    """Returns the state of the model's metrics, as JSON values."""
    return [ops.convert_to_numpy(variable).tolist() for variable in model.metrics_variables]


def set_metrics(model: keras.Model, values: list) -> None:
    """Brings back what `get_metrics()` returned for a model with the same metrics."""
    for variable, value in zip(model.metrics_variables, values, strict=True):
        variable.assign(np.array(value, variable.dtype))


def build_metrics(model: keras.Model, batches) -> None:
    """Makes the metrics of a loaded model, so that `set_metrics()` finds them.

    `fit()` would make them too, but with TensorFlow not before the first step.

    Args:
        model: A compiled model with one output.
        batches: Training data: a `keras.utils.PyDataset` or something to iterate over.
    """
    is_sequence = isinstance(batches, keras.utils.PyDataset)
    images, labels = batches[0] if is_sequence else next(iter(batches))
    predictions = ops.zeros((len(labels), *model.output_shape[1:]))
    model.compute_metrics(images, ops.convert_to_tensor(labels), predictions)
