"""The new context of an LSTM against NumPy."""

import keras
import numpy as np
import pytest

from keras_dla.ops.gated_sum import gated_sum
from tests.golden import assert_close


@pytest.mark.parametrize("layers", [(), (3,)])
def test_equals_numpy(layers):
    """Where several layers meet one context, it has an axis of length 1."""
    rng = np.random.default_rng(0)
    i, f, candidate = rng.normal(size=(3, 2, *layers, 5)).astype("float32")
    context = rng.normal(size=(2, *[1 for _ in layers], 5)).astype("float32")
    gates = np.concatenate([i, f], axis=-1)
    found = gated_sum(*map(keras.ops.convert_to_tensor, (gates, candidate, context)))
    assert_close(found, i * candidate + f * context, 1e-6)
