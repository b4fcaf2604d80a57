"""Each sum equals its plain form, values and gradients, whatever it overwrites."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_dla.layers.elementwise import add_in_place, relu_in_place, relu_of_sum
from tests.gradients import gradients

CASES = {
    "relu_of_sum": (relu_of_sum, lambda x, y: np.maximum(x + y, 0), lambda x, y: (x + y) > 0),
    "add_in_place": (add_in_place, lambda x, y: x + y, lambda x, y: x == x),
    "relu_in_place": (
        lambda x, y: relu_in_place(x) + y,
        lambda x, y: np.maximum(x, 0) + y,
        lambda x, y: x > 0,
    ),
}


class Sum(keras.layers.Layer):
    """Sums twice its input and a weight: the first is a map of its own."""

    def __init__(self, function, y):
        super().__init__()
        self.function = function
        self.y = self.add_weight(shape=(1, *y.shape), initializer="zeros")
        self.y.assign(y[None])

    def call(self, x):
        return self.function(2.0 * x, ops.convert_to_tensor(self.y))


@pytest.mark.parametrize("name", CASES)
def test_equals_the_plain_form(name):
    function, plain, slope = CASES[name]
    x, y, cotangent = np.random.default_rng(0).normal(size=(3, 1, 4, 3, 8)).astype("float32")
    inputs = keras.Input(x.shape[1:])
    model = keras.Model(inputs, Sum(function, y[0])(inputs))
    output, of_x, of_weights = gradients(model, x, cotangent)
    np.testing.assert_allclose(output, plain(2 * x, y), rtol=1e-6)
    np.testing.assert_allclose(of_x, 2 * cotangent * slope(2 * x, y), rtol=1e-6)
    (weight,) = model.trainable_variables
    of_y = cotangent * (slope(2 * x, y) if name == "relu_of_sum" else 1)
    np.testing.assert_allclose(of_weights[id(weight)], of_y, rtol=1e-6)
    np.testing.assert_array_equal(ops.convert_to_numpy(weight), y)
