import keras
import numpy as np
import pytest

from keras_dla.ops.channels import global_max_pool, largest
from tests.gradients import gradients
from tests.layers.block_attentions import FORMATS, maps


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


@pytest.mark.parametrize("data_format", FORMATS)
def test_global_max_pool(data_format):
    x = maps((2, 3, 5, 4))
    axes = (1, 2) if data_format == "channels_last" else (2, 3)
    found = keras.ops.convert_to_numpy(global_max_pool(keras.ops.convert_to_tensor(x), data_format))
    assert found.tolist() == x.max(axis=axes).tolist()
