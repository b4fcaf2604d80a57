"""The examples in the docstrings run, and every public name has one."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

import keras_dla.detection
import keras_dla.interop
import keras_dla.layers
import keras_dla.models

# docs/extending.md has the examples.
PROTOCOLS = (
    keras_dla.layers.BlockAttention,
    keras_dla.layers.BlockPlace,
    keras_dla.layers.LayerInteraction,
)
ROOMS = (keras_dla.layers, keras_dla.models, keras_dla.interop, keras_dla.detection)
MODULES = [
    module.name
    for room in ROOMS
    for module in pkgutil.iter_modules(room.__path__, f"{room.__name__}.")
]
# They need the framework that they are written for.
OF_ONE_BACKEND = ("_tensorflow", "_torch", "_jax")


@pytest.mark.parametrize("name", [m for m in MODULES if not m.endswith(OF_ONE_BACKEND)])
def test_examples_run(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize(
    "value",
    [getattr(room, name) for room in ROOMS for name in room.__all__],
    ids=lambda value: value.__name__,
)
def test_public_names_are_documented(value):
    assert "Example:" in value.__doc__ or value in PROTOCOLS
    assert "Args:" in value.__doc__ or not inspect.signature(value).parameters
