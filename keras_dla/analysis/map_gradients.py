"""The gradient of a number by a tensor, on whichever backend runs."""

import contextlib
from collections.abc import Callable

import keras


def gradient(function: Callable, tensor):
    """Returns the gradient of the scalar `function(tensor)` by `tensor`."""
    backends = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
    return backends[keras.backend.backend()](function, tensor)


def without_gradients() -> contextlib.AbstractContextManager:
    """PyTorch keeps every map for a backward pass unless it is told that there is none."""
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
