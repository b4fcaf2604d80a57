"""Our seeding, which leaves TensorFlow alone, draws what Keras's own draws."""

import random

import keras
import numpy as np

from keras_dla.training import set_random_seed


def draws():
    layer = keras.layers.Dense(2)
    layer.build((None, 3))
    tensors = (keras.random.normal((2,)), layer.kernel.value)
    return [random.random(), np.random.rand(), *map(keras.ops.convert_to_numpy, tensors)]


def test_the_draws_are_those_of_keras():
    keras.utils.set_random_seed(3)
    expected = draws()
    set_random_seed(3)
    for found, wanted in zip(draws(), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
