"""The new context of an LSTM against NumPy."""

import keras
import numpy as np
import pytest

from keras_dla.ops.gated_context import gated_context
from tests.golden import assert_close


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("layers", [(), (3,)])
def test_equals_numpy(layers):
    """Where several layers meet one context, it has an axis of length 1."""
    rng = np.random.default_rng(0)
    i, f, g = rng.normal(size=(3, 2, *layers, 5)).astype("float32")
    context = rng.normal(size=(2, *[1 for _ in layers], 5)).astype("float32")
    gates = keras.ops.convert_to_tensor(np.concatenate([i, f, g], axis=-1))
    new = sigmoid(i) * np.tanh(g)
    expected = new + sigmoid(f) * context
    assert_close(gated_context(gates, keras.ops.convert_to_tensor(context)), expected, 1e-6)
    assert_close(gated_context(gates, None), new, 1e-6)
