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


def _torch_names() -> dict:
    if keras.backend.backend() != "torch":
        return {}
    import torch

    names = ("float64", "float32", "bfloat16", "float16")
    return {getattr(torch, name): name for name in names}


_TORCH_NAMES = _torch_names()


def _name(dtype) -> str:
    return _TORCH_NAMES.get(dtype) or keras.backend.standardize_dtype(dtype)


def cast(x: Tensor, dtype: str) -> Tensor:
    """`ops.cast`, but a tensor of that dtype is returned unchanged."""
    return x if _name(x.dtype) == dtype else ops.cast(x, dtype)


def in_float32(x: Tensor) -> Tensor:
    """Casts to float32, but leaves float64 as it is."""
    # Not `result_type`, which on JAX and PyTorch makes float32 of float64 and float32.
    return x if _name(x.dtype) in ("float32", "float64") else ops.cast(x, "float32")


def reshape(x: Tensor, shape: tuple) -> Tensor:
    """`ops.reshape`."""
    return x.reshape(shape) if keras.backend.backend() == "torch" else ops.reshape(x, shape)


def split_at(x: Tensor, size: int, axis: int) -> list:
    """Returns the first `size` entries along `axis`, and the rest."""
    return split(x, [size, x.shape[axis] - size], axis)


def split(x: Tensor, sizes: Sequence[int], axis: int) -> list:
    """`ops.split` into parts of these sizes along `axis`."""
    if keras.backend.backend() == "torch":
        return list(x.split(list(sizes), axis))
    return ops.split(x, list(itertools.accumulate(sizes[:-1])), axis=axis)


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


def pad(x: Tensor, widths: list[tuple[int, int]]) -> Tensor:
    """`ops.pad` with zeros, `widths` before and after each axis.

    Keras's own makes a named object in every call, which PyTorch's compiler does not take into its
    graph.
    """
    if keras.backend.backend() == "torch":
        import torch

        return torch.nn.functional.pad(x, [width for pair in widths[::-1] for width in pair])
    return ops.pad(x, widths)


def relu(x: Tensor) -> Tensor:
    """`ops.relu`."""
    return x.relu() if keras.backend.backend() == "torch" else ops.relu(x)


def sigmoid(x: Tensor) -> Tensor:
    """`ops.sigmoid`."""
    return x.sigmoid() if keras.backend.backend() == "torch" else ops.sigmoid(x)


def total(x: Tensor, axis: int) -> Tensor:
    """`ops.sum` along an axis."""
    return x.sum(axis) if keras.backend.backend() == "torch" else ops.sum(x, axis=axis)
