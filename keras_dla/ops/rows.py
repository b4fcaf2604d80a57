"""Looks up rows of a table in a form whose gradient every compiler accepts."""

import keras
from keras import ops

from keras_dla.utils.types import Tensor


def take_rows(table: Tensor, places: Tensor) -> Tensor:
    """Returns `[..., channels]`, the rows of a table `[rows, channels]` at the indices `places`.

    Equals `keras.ops.take(table, places, axis=0)`, whose gradient XLA does not compile inside a
    loop of TensorFlow.

    Example:
    >>> import keras
    >>> import numpy as np
    >>> from keras_dla.ops.rows import take_rows
    >>> table, places = np.array([[1.0], [2.0]]), np.array([[1, 0], [1, 1]])
    >>> keras.ops.convert_to_numpy(take_rows(table, places))[..., 0].tolist()
    [[2.0, 1.0], [2.0, 2.0]]
    """
    if keras.backend.backend() == "tensorflow":
        from keras_dla.ops.tensorflow.rows import take_rows_tensorflow

        return take_rows_tensorflow(table, places)
    return ops.take(ops.convert_to_tensor(table), places, axis=0)
