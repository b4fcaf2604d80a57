"""The weighted sum of maps against NumPy, and its gradients against the plain form's."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dla.ops.weighted_sum import weighted_sum, weighted_sum_plain
from tests.golden import assert_close
from tests.gradients import gradients
from tests.layers.functions import FunctionOfWeights
from tests.ops.torch.batch_slices import in_parts


def random_case(depth, data_format):
    generator = np.random.default_rng(depth)
    shape = (2, 5, 3, 4) if data_format == "channels_last" else (2, 4, 5, 3)
    maps = [generator.standard_normal(shape, "float32") for _ in range(depth)]
    return maps, generator.standard_normal((2, depth, 4), "float32")


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 5), st.sampled_from(["channels_last", "channels_first"]))
def test_equals_numpy(depth, data_format):
    maps, weights = random_case(depth, data_format)
    spelled = "nbhwc,bnc->bhwc" if data_format == "channels_last" else "nbchw,bnc->bchw"
    expected = np.einsum(spelled, np.stack(maps), weights)
    tensors = [keras.ops.convert_to_tensor(feature_map) for feature_map in maps]
    actual, handed_on = weighted_sum(tensors, keras.ops.convert_to_tensor(weights), data_format)
    assert_close(actual, expected.astype("float32"), 1e-5)
    for after, before in zip(handed_on, maps, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(after), before)


def plain(maps, weights, data_format):
    return weighted_sum_plain(maps, weights, data_format), maps


def sums(function, data_format):
    """A function of maps and the weights of sums, as the layers of a stage form them.

    Every sum reads the maps that the one before handed on; the last map is read outside the sums
    too, and the last sum by nobody.
    """

    def total(x, sum_weights, *known):
        maps, total = [], 0
        for m, feature_map in enumerate(known):
            maps = [*maps, feature_map * x]
            output, maps = function(maps, sum_weights[:, : m + 1] * (m + 1), data_format)
            total = total + output**2
        function(maps, sum_weights, data_format)
        return total + maps[-1] ** 3

    return total


@pytest.mark.parametrize("parted", [False, True])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_gradients_equal_the_plain_form(data_format, parted):
    maps, weights = random_case(3, data_format)
    x = np.ones_like(maps[0])
    cotangent = np.random.default_rng(9).standard_normal(x.shape, "float32")
    results = []
    for function in (weighted_sum, plain):
        layer = FunctionOfWeights(sums(function, data_format), [weights, *maps])
        with in_parts(parted):
            _, input_grad, weight_grads = gradients(layer, x, cotangent)
        results.append([input_grad, *(weight_grads[id(w)] for w in layer.trainable_variables)])
    for actual, expected in zip(*results, strict=True):
        assert np.abs(expected).max() > 0
        assert_close(actual, expected, 1e-5)
