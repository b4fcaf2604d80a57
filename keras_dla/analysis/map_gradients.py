"""The gradient of a number with respect to a tensor, on any backend."""

import contextlib
from collections.abc import Callable

import keras

from keras_dla.utils.types import Tensor


def gradient(function: Callable[[Tensor], Tensor], tensor: Tensor) -> Tensor:
    """Returns the gradient of the scalar `function(tensor)` with respect to `tensor`."""
    backends = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
    return backends[keras.backend.backend()](function, tensor)


def without_gradients() -> contextlib.AbstractContextManager:
    """Returns a context in which PyTorch does not keep maps for a backward pass."""
    if keras.backend.backend() != "torch":
        return contextlib.nullcontext()
    import torch

    return torch.no_grad()


def _tensorflow(function, tensor):
    import tensorflow as tf

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(tensor)
        value = function(tensor)
    return tape.gradient(value, tensor)


def _jax(function, tensor):
    import jax

    return jax.grad(function)(tensor)


def _torch(function, tensor):
    import torch

    tensor = tensor.detach().requires_grad_()
    with torch.enable_grad():
        value = function(tensor)
    return torch.autograd.grad(value, tensor)[0]
