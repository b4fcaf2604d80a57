"""Every public name has an example; pytest runs them as doctests."""

import inspect

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


@pytest.mark.parametrize(
    "value",
    [getattr(room, name) for room in ROOMS for name in room.__all__],
    ids=lambda value: value.__name__,
)
def test_public_names_are_documented(value):
    assert "Example:" in value.__doc__ or value in PROTOCOLS
    assert "Args:" in value.__doc__ or not inspect.signature(value).parameters
