import keras
import numpy as np
import pytest

from keras_dla.ops.channels import (
    average_and_map,
    global_average_pool,
    global_max_pool,
    largest,
)
from tests.golden import assert_close
from tests.gradients import gradients
from tests.layers.block_attentions import FORMATS, maps
from tests.layers.functions import FunctionOfWeights


class Largest(keras.layers.Layer):
    def call(self, inputs):
        return largest(inputs, axis=-1)


def test_the_gradient_goes_to_the_first_of_equal_entries():
    """A division by the number of entries that equal the maximum has no place in it."""
    x = np.array([[1, 3, 3, 2], [5, 5, 5, 5]], "float32")
    inputs = keras.Input((4,))
    output, grad, _ = gradients(keras.Model(inputs, Largest()(inputs)), x, np.ones((2, 1), "f"))
    assert output.tolist() == [[3], [5]]
    assert grad.tolist() == [[0, 1, 0, 0], [1, 0, 0, 0]]


@pytest.mark.parametrize("reads", ["average", "map", "both"])
@pytest.mark.parametrize("data_format", FORMATS)
def test_average_and_map(data_format, reads):
    """The gradient is that of what is read, also if one of the two is not."""

    def total(x, weight):
        average, x = average_and_map(x * weight, data_format)
        parts = {"average": average**2, "map": global_average_pool(x**3, data_format)}
        return sum(parts.values()) if reads == "both" else parts[reads]

    x, weight = maps((2, 3, 5, 4)), np.full((1, 1, 1, 1), 2, "float32")
    axes = (1, 2) if data_format == "channels_last" else (2, 3)
    average = (2 * x).mean(axes, keepdims=True)
    values = {"average": average**2, "map": ((2 * x) ** 3).mean(axes, keepdims=True)}
    slopes = {"average": 2 * average + np.zeros_like(x), "map": 3 * (2 * x) ** 2}
    read = list(values) if reads == "both" else [reads]
    output = sum(values[name] for name in read).squeeze(axes)
    slope = sum(2 * slopes[name] for name in read) / (x.size / output.size)
    layer = FunctionOfWeights(total, [weight])
    found, grad, _ = gradients(layer, x, np.ones_like(output))
    assert_close(found, output, 1e-5)
    assert_close(grad, slope, 1e-5)


@pytest.mark.parametrize("data_format", FORMATS)
def test_global_max_pool(data_format):
    x = maps((2, 3, 5, 4))
    axes = (1, 2) if data_format == "channels_last" else (2, 3)
    found = keras.ops.convert_to_numpy(global_max_pool(keras.ops.convert_to_tensor(x), data_format))
    assert found.tolist() == x.max(axis=axes).tolist()
