"""Operations of `keras.ops` that come to nothing or to a view, at the price of one.

Keras searches the arguments of every operation for symbolic tensors, on PyTorch at every step: for
a shape, which is a nest, that takes longer than a matrix product of pooled features.
"""

import functools

import keras
from keras import ops


def cast(x, dtype: str):
    """`ops.cast`, which returns a tensor of that dtype as it is."""
    return x if keras.backend.standardize_dtype(x.dtype) == dtype else ops.cast(x, dtype)


def in_float32(x):
    """Casts to float32, or leaves what is finer."""
    return cast(x, _float32_at_least(x.dtype))


@functools.cache
def _float32_at_least(dtype) -> str:
    return keras.backend.result_type(dtype, "float32")


def reshape(x, shape: tuple):
    """`ops.reshape`."""
    return x.reshape(shape) if keras.backend.backend() == "torch" else ops.reshape(x, shape)
