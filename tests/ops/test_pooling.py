import keras
import numpy as np
import pytest

from keras_dla.ops.pooling import average_halved
from tests.gradients import gradients
from tests.layers.block_attentions import FORMATS, maps
from tests.layers.stages import channels_first, from_channels_first


class Halved(keras.layers.Layer):
    def __init__(self, data_format):
        super().__init__()
        self.data_format = data_format

    def call(self, inputs):
        return average_halved(inputs, self.data_format)


def matrix(size):
    """Averages pairs of `size` positions, the last one alone if it has no other."""
    pairs = np.arange((size + 1) // 2)[:, None] == np.arange(size) // 2
    return pairs / pairs.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("size", [(4, 6), (5, 4), (3, 7), (1, 1)])
def test_averages_pairs_and_their_gradients(size, data_format):
    rows, columns = map(matrix, size)
    x, cotangent = maps((2, 3, *size)), maps((2, 3, len(rows), len(columns)))
    inputs = keras.Input(from_channels_first(x, data_format).shape[1:])
    model = keras.Model(inputs, Halved(data_format)(inputs))
    arrays = (from_channels_first(array, data_format) for array in (x, cotangent))
    output, grad, _ = gradients(model, *arrays)
    expected = np.einsum("ih,jw,bchw->bcij", rows, columns, x)
    np.testing.assert_allclose(channels_first(output, data_format), expected, atol=1e-6)
    expected = np.einsum("ih,jw,bcij->bchw", rows, columns, cotangent)
    np.testing.assert_allclose(channels_first(grad, data_format), expected, atol=1e-6)
