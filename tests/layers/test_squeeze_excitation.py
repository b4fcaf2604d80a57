import numpy as np
import pytest

from keras_dla.layers import SqueezeExcitation
from tests.layers.stages import channels_first, from_channels_first, randomize


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_gates_channels_by_the_pooled_features(data_format):
    x = np.random.default_rng(0).normal(size=(2, 32, 5, 4)).astype("float32")
    layer = SqueezeExcitation(reduction=4, data_format=data_format)
    layer.build(from_channels_first(x, data_format).shape)
    randomize(layer)
    reduce, expand = (np.array(weight) for weight in layer.get_weights())
    gate = 1 / (1 + np.exp(-np.maximum(x.mean((2, 3)) @ reduce, 0) @ expand))
    outputs = channels_first(layer(from_channels_first(x, data_format)), data_format)
    np.testing.assert_allclose(outputs, x * gate[:, :, None, None], rtol=1e-4, atol=1e-6)
    assert reduce.shape == (32, 8)


def test_a_reduction_beyond_the_channels():
    layer = SqueezeExcitation(reduction=16, data_format="channels_last")
    sentence = r"`reduction` must be at most the number of channels \(8\), but is 16\."
    with pytest.raises(ValueError, match=sentence):
        layer(np.ones((1, 2, 2, 8), "float32"))
    with pytest.raises(ValueError, match="`reduction` must be an integer of at least 1, but is 0"):
        SqueezeExcitation(reduction=0)
