"""Operations of `keras.ops` that do nothing or make a view, without Keras's overhead.

Keras searches the arguments of every operation for symbolic tensors, on PyTorch at every step. For
a shape, which is a nested structure, that takes longer than a matrix product of pooled features.
"""

import keras
from keras import ops

from keras_dla.utils.types import Tensor


def cast(x: Tensor, dtype: str) -> Tensor:
    """`ops.cast`, but a tensor of that dtype is returned unchanged."""
    return x if keras.backend.standardize_dtype(x.dtype) == dtype else ops.cast(x, dtype)


def in_float32(x: Tensor) -> Tensor:
    """Casts to float32, but leaves float64 as it is."""
    # Not `result_type`, which on JAX and PyTorch makes float32 of float64 and float32.
    fine = keras.backend.standardize_dtype(x.dtype) in ("float32", "float64")
    return x if fine else ops.cast(x, "float32")


def reshape(x: Tensor, shape: tuple) -> Tensor:
    """`ops.reshape`."""
    return x.reshape(shape) if keras.backend.backend() == "torch" else ops.reshape(x, shape)


def split_at(x: Tensor, size: int, axis: int) -> list:
    """Returns the first `size` entries along `axis`, and the rest."""
    if keras.backend.backend() == "torch":
        return x.split([size, x.shape[axis] - size], axis)
    return ops.split(x, [size], axis=axis)


def concatenate(tensors: list, axis: int) -> Tensor:
    """`ops.concatenate`."""
    if keras.backend.backend() == "torch":
        import torch

        return torch.cat(tensors, axis)
    return ops.concatenate(tensors, axis=axis)


def stack(tensors: list) -> Tensor:
    """`ops.stack` along a new first axis."""
    if keras.backend.backend() == "torch":
        import torch

        return torch.stack(tensors)
    return ops.stack(tensors)


def unstack(x: Tensor, axis: int) -> list:
    """`ops.unstack`, for an axis of known length."""
    if keras.backend.backend() == "torch":
        return list(x.unbind(axis))
    return ops.unstack(x, x.shape[axis], axis=axis)


def total(x: Tensor, axis: int) -> Tensor:
    """`ops.sum` along an axis."""
    return x.sum(axis) if keras.backend.backend() == "torch" else ops.sum(x, axis=axis)
