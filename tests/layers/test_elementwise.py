"""The ReLU of a sum equals its plain form, values and gradients, whatever it overwrites."""

import keras
import numpy as np
from keras import ops

from keras_dla.layers.elementwise import relu_of_sum
from tests.gradients import gradients


class Sum(keras.layers.Layer):
    """ReLU of the sum of its input and a weight."""

    def __init__(self, y):
        super().__init__()
        self.y = self.add_weight(shape=(1, *y.shape), initializer="zeros")
        self.y.assign(y[None])

    def call(self, x):
        return relu_of_sum(x, ops.convert_to_tensor(self.y))


def test_equals_the_plain_form():
    x, y, cotangent = np.random.default_rng(0).normal(size=(3, 1, 4, 3, 8)).astype("float32")
    inputs = keras.Input(x.shape[1:])
    model = keras.Model(inputs, Sum(y[0])(inputs))
    output, of_x, of_weights = gradients(model, x, cotangent)
    np.testing.assert_allclose(output, np.maximum(x + y, 0), rtol=1e-6)
    np.testing.assert_allclose(of_x, cotangent * (x + y > 0), rtol=1e-6)
    (weight,) = model.trainable_variables
    np.testing.assert_allclose(of_weights[id(weight)], cotangent * (x + y > 0), rtol=1e-6)
    np.testing.assert_array_equal(ops.convert_to_numpy(weight), y)
