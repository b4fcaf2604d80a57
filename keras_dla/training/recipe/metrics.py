"""Metrics of the paper's tables that work in mixed precision."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_dla")
class TopKAccuracy(keras.metrics.SparseTopKCategoricalAccuracy):
    """`keras.metrics.SparseTopKCategoricalAccuracy` for predictions of any float type.

    TensorFlow ranks float32 only, where a mixed-precision model may end in 16 bits.

    Args:
        k: integer, how many classes a prediction may name.
        name: name of the metric.
        dtype: type of the result.

    Example:
    >>> import keras
    >>> from keras_dla.training import TopKAccuracy
    >>> metric = TopKAccuracy(k=2)
    >>> metric.update_state([0, 2], keras.ops.cast([[0.2, 0.7, 0.1]] * 2, "bfloat16"))
    >>> float(metric.result())
    0.5
    """

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Counts a batch of labels `[batch]` and predictions `[batch, classes]`."""
        super().update_state(y_true, ops.cast(y_pred, "float32"), sample_weight)
