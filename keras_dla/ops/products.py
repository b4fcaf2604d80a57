"""Products of tensors in the dtype of their inputs.

Except on TensorFlow, Keras's own products compute in float32 even if the inputs are float64.
"""

import keras
from keras import ops

from keras_dla.utils.types import Tensor


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """Returns the product of two stacks of matrices, in float64 if `a` is float64.

    Args:
        a: tensor `[..., rows, n]`.
        b: tensor `[..., n, columns]` of the same dtype.
    """
    if not _is_narrowed(a):
        return ops.matmul(a, b)
    return a @ ops.convert_to_tensor(b)


def einsum(equation: str, a: Tensor, b: Tensor) -> Tensor:
    """Returns a sum of products, in float64 if `a` is float64.

    Args:
        equation: string, the axes, as for `keras.ops.einsum`.
        a: tensor.
        b: tensor of the same dtype.
    """
    if not _is_narrowed(a):
        return ops.einsum(equation, a, b)
    a, b = ops.convert_to_tensor(a), ops.convert_to_tensor(b)
    if keras.backend.backend() == "torch":
        import torch

        return torch.einsum(equation, a, b)
    import jax

    return jax.numpy.einsum(equation, a, b)


def _is_narrowed(x: Tensor) -> bool:
    """Returns whether Keras would compute with this float64 tensor in float32."""
    if isinstance(x, keras.KerasTensor) or keras.backend.backend() == "tensorflow":
        return False
    return keras.backend.standardize_dtype(x.dtype) == "float64"
