"""Cheap operations of `keras.ops` without Keras's overhead.

They do nothing, make a view or compute a few numbers. Keras searches the arguments of every
operation for symbolic tensors, on PyTorch at every step. For a shape, which is a nested structure,
that takes longer than a matrix product of pooled features.
"""

import itertools
from collections.abc import Sequence

import keras
from keras import ops

from keras_dla.utils.types import Tensor

__all__ = [
    "cast", "concatenate", "in_float32", "pad", "relu", "reshape", "sigmoid", "split", "split_at",
    "stack", "total",
]  # fmt: skip


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
    return ops.reshape(x, shape)


def split_at(x: Tensor, size: int, axis: int) -> list:
    """Returns the first `size` entries along `axis`, and the rest."""
    return split(x, [size, x.shape[axis] - size], axis)


def split(x: Tensor, sizes: Sequence[int], axis: int) -> list:
    """`ops.split` into parts of these sizes along `axis`."""
    return ops.split(x, list(itertools.accumulate(sizes[:-1])), axis=axis)


def concatenate(tensors: list, axis: int) -> Tensor:
    """`ops.concatenate`."""
    return ops.concatenate(tensors, axis=axis)


def stack(tensors: list) -> Tensor:
    """`ops.stack` along a new first axis."""
    return ops.stack(tensors)


def pad(x: Tensor, widths: list[tuple[int, int]]) -> Tensor:
    """`ops.pad` with zeros, `widths` before and after each axis."""
    return ops.pad(x, widths)


def relu(x: Tensor) -> Tensor:
    """`ops.relu`."""
    return ops.relu(x)


def sigmoid(x: Tensor) -> Tensor:
    """`ops.sigmoid`."""
    return ops.sigmoid(x)


def total(x: Tensor, axis: int) -> Tensor:
    """`ops.sum` along an axis."""
    return ops.sum(x, axis=axis)


if keras.backend.backend() == "torch":
    from keras_dla.ops.torch.cheap import (
        cast,
        concatenate,
        in_float32,
        pad,
        relu,
        reshape,
        sigmoid,
        split,
        stack,
        total,
    )
