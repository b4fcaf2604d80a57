"""The weighted sum of maps against NumPy, and its gradients against the plain form's."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dla.layers.weighted_sum import weighted_sum, weighted_sum_plain
from tests.golden import assert_close
from tests.gradients import gradients


def random_case(depth, data_format, with_rest):
    generator = np.random.default_rng(depth)
    shape = (2, 5, 3, 4) if data_format == "channels_last" else (2, 4, 5, 3)
    maps = [generator.standard_normal(shape, "float32") for _ in range(depth)]
    weights = generator.standard_normal((2, depth, 4), "float32")
    rest = generator.standard_normal(shape, "float32") if with_rest else None
    return maps, weights, rest


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 5), st.sampled_from(["channels_last", "channels_first"]), st.booleans())
def test_equals_numpy(depth, data_format, with_rest):
    maps, weights, rest = random_case(depth, data_format, with_rest)
    spelled = "nbhwc,bnc->bhwc" if data_format == "channels_last" else "nbchw,bnc->bchw"
    expected = np.einsum(spelled, np.stack(maps), weights) + (rest if with_rest else 0)
    tensors = [keras.ops.convert_to_tensor(feature_map) for feature_map in maps]
    rest = keras.ops.convert_to_tensor(rest) if with_rest else None
    actual = weighted_sum(tensors, keras.ops.convert_to_tensor(weights), data_format, rest)
    assert_close(actual, expected.astype("float32"), 1e-5)


class Sum(keras.layers.Layer):
    """A model whose weights are the maps, the weights and the rest of a sum."""

    def __init__(self, function, case, data_format):
        super().__init__()
        maps, weights, rest = case
        self.function = function
        self.data_format = data_format
        self.maps = [self.constant(feature_map) for feature_map in maps]
        self.sum_weights = self.constant(weights)
        self.rest = None if rest is None else self.constant(rest)
        self.built = True

    def constant(self, value):
        return self.add_weight(value.shape, lambda shape, dtype: keras.ops.convert_to_tensor(value))

    def call(self, x, training=False):
        maps = [feature_map.value * x for feature_map in self.maps]
        rest = None if self.rest is None else self.rest.value
        return self.function(maps, self.sum_weights.value, self.data_format, rest)


@pytest.mark.parametrize("with_rest", [False, True])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_gradients_equal_the_plain_form(data_format, with_rest):
    case = random_case(3, data_format, with_rest)
    x = np.ones_like(case[0][0])
    cotangent = np.random.default_rng(9).standard_normal(x.shape, "float32")
    results = []
    for function in (weighted_sum, weighted_sum_plain):
        layer = Sum(function, case, data_format)
        _, input_grad, weight_grads = gradients(layer, x, cotangent)
        results.append([input_grad, *(weight_grads[id(w)] for w in layer.trainable_variables)])
    for actual, expected in zip(*results, strict=True):
        assert np.abs(expected).max() > 0
        assert_close(actual, expected, 1e-5)
