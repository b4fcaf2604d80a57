"""Metrics of the paper's tables that work in mixed precision."""

from typing import Any

import keras
from keras import ops

from keras_dla.utils.types import Tensor


@keras.saving.register_keras_serializable(package="keras_dla")
class TopKAccuracy(keras.metrics.SparseTopKCategoricalAccuracy):
    """`keras.metrics.SparseTopKCategoricalAccuracy` for predictions of any float type.

    TensorFlow can only rank float32, but a mixed-precision model may end in 16 bits.

    Args:
        k: integer, the number of highest-ranked classes that count as correct; defaults to 5.
        name: string, the name of the metric; defaults to `"top_k_accuracy"`.
        **kwargs: other arguments of `keras.metrics.SparseTopKCategoricalAccuracy`.

    Example:
    >>> import keras
    >>> from keras_dla.training import TopKAccuracy
    >>> metric = TopKAccuracy(k=2)
    >>> metric.update_state([0, 2], keras.ops.cast([[0.2, 0.7, 0.1]] * 2, "bfloat16"))
    >>> float(metric.result())
    0.5
    """

    def __init__(self, k: int = 5, name: str = "top_k_accuracy", **kwargs: Any):
        super().__init__(k=k, name=name, **kwargs)

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> None:
        """Counts a batch of labels `[batch]` and predictions `[batch, classes]`."""
        super().update_state(y_true, ops.cast(y_pred, "float32"), sample_weight)
