"""Calls of layers without what Keras does around every call."""

from collections.abc import Callable

import keras


class StraightCall:
    """Mix-in, ahead of a Keras layer: inside another layer's call, PyTorch goes straight to `call`.

    Keras converts and checks the arguments of every call, follows masks and opens scopes, which
    takes longer than the arithmetic of a small layer. The compilers of TensorFlow and JAX do it
    once, PyTorch at every step. A layer that is called from outside gets Keras's whole care.
    """

    def __call__(self, *args, **kwargs):
        return straight_call(self, super().__call__, *args, **kwargs)


def straight_call(operation: keras.Operation, usual_call: Callable, *args, **kwargs):
    """Returns what `usual_call` returns, on PyTorch from `operation.call` where that is the same.

    Args:
        operation: a layer or other operation that has no work of its own around its `call`.
        usual_call: Keras's call of it.
        *args: its arguments.
        **kwargs: its arguments.
    """
    if keras.backend.backend() == "torch":
        from keras_dla.layers import straight_call_torch

        if straight_call_torch.needs_only_call(operation, args, kwargs):
            return straight_call_torch.call(operation, args, kwargs)
    return usual_call(*args, **kwargs)
