"""Two equal networks of one process have equal names, whatever was built before them."""

import keras
import numpy as np
import pytest

from tests.backends import on_pytorch
from tests.models.test_every_network import NAMES, network


@on_pytorch
@pytest.mark.parametrize("name", NAMES)
def test_paths_and_state_dictionaries(name):
    first, second = network(name), network(name)
    assert [w.path for w in first.weights] == [w.path for w in second.weights]
    assert len({w.path for w in first.weights}) == len(first.weights)
    if keras.backend.backend() != "torch":
        return
    for weight in first.trainable_weights:
        weight.assign(np.random.default_rng(0).normal(size=weight.shape).astype("float32"))
    second.load_state_dict(first.state_dict())
    for mine, theirs in zip(first.weights, second.weights, strict=True):
        np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (mine, theirs)))
