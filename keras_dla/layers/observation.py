"""Lets `keras_dla.analysis` read intermediate results of layers without changing the layers."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import keras

from keras_dla.ops.devices import torch_compiles

_observations: ContextVar[list | None] = ContextVar("keras_dla_observations", default=None)


@contextmanager
def observe() -> Iterator[list]:
    """Collects `(layer, index, {name: tensor})` for every call made inside the block, in order."""
    observations: list = []
    token = _observations.set(observations)
    try:
        yield observations
    finally:
        _observations.reset(token)


def report(layer: keras.layers.Layer, index: int, **tensors: Any) -> None:
    """Adds an observation inside an `observe` block; otherwise does nothing.

    A function among `tensors` stands for the tensor that it returns.
    """
    if torch_compiles():
        return
    observations = _observations.get()
    if observations is not None:
        values = {name: one() if callable(one) else one for name, one in tensors.items()}
        observations.append((layer, index, values))
