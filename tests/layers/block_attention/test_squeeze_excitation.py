import numpy as np
import pytest

from keras_dla.layers import SqueezeExcitation
from tests.layers import block_attentions
from tests.layers.block_attentions import FORMATS, maps
from tests.layers.stages import from_channels_first, randomize


@pytest.mark.parametrize("data_format", FORMATS)
def test_gates_channels_by_the_pooled_features(data_format):
    x = maps((2, 32, 5, 4))
    layer = SqueezeExcitation(reduction=4, data_format=data_format)
    layer.build(from_channels_first(x, data_format).shape)
    randomize(layer)
    reduce, expand = (np.array(weight) for weight in layer.get_weights())
    gates = 1 / (1 + np.exp(-np.maximum(x.mean((2, 3)) @ reduce, 0) @ expand))
    block_attentions.assert_gates_channels(layer, x, gates)
    assert reduce.shape == (32, 8)


def test_a_reduction_beyond_the_channels():
    layer = SqueezeExcitation(reduction=16, data_format="channels_last")
    sentence = r"`reduction` must be at most the number of channels \(8\), but is 16\."
    with pytest.raises(ValueError, match=sentence):
        layer(np.ones((1, 2, 2, 8), "float32"))
    block_attentions.assert_refuses_zero(SqueezeExcitation, "reduction")
