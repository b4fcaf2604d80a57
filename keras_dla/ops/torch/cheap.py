"""PyTorch's own functions for `keras_dla.ops.cheap`, with as few calls of Python's as possible."""

from collections.abc import Sequence
from typing import Any

import keras
import torch
from keras import ops

from keras_dla.utils.types import Tensor

FINE = torch.float32, torch.float64

reshape: Any = torch.reshape
relu: Any = torch.relu
sigmoid: Any = torch.sigmoid
stack: Any = torch.stack


def cast(x: Tensor, dtype: str) -> Tensor:
    """See `keras_dla.ops.cheap.cast`."""
    return x if x.dtype is getattr(torch, dtype, None) else ops.cast(x, dtype)


def in_float32(x: Tensor) -> Tensor:
    """See `keras_dla.ops.cheap.in_float32`."""
    # NumPy's arrays have dtypes of their own.
    fine = x.dtype in FINE or keras.backend.standardize_dtype(x.dtype) == "float64"
    return x if fine else ops.cast(x, "float32")


def split(x: Tensor, sizes: Sequence[int], axis: int) -> list:
    """See `keras_dla.ops.cheap.split`."""
    return torch.split_with_sizes(x, sizes, axis)


def concatenate(tensors: list, axis: int) -> Tensor:
    """See `keras_dla.ops.cheap.concatenate`."""
    return torch.cat(tensors, axis)


def pad(x: Tensor, widths: list[tuple[int, int]]) -> Tensor:
    """See `keras_dla.ops.cheap.pad`.

    Keras's own makes a named object in every call, which PyTorch's compiler does not take into its
    graph.
    """
    return torch.nn.functional.pad(x, [width for pair in widths[::-1] for width in pair])


def total(x: Tensor, axis: int) -> Tensor:
    """See `keras_dla.ops.cheap.total`."""
    return x.sum(axis)
