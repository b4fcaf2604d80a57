import numpy as np
import pytest

from keras_dla.layers import EfficientChannelAttention
from keras_dla.ops.channel_convolution import adaptive_kernel_size
from tests.layers import block_attentions
from tests.layers.block_attentions import FORMATS, maps
from tests.layers.stages import from_channels_first, randomize


@pytest.mark.parametrize("data_format", FORMATS)
def test_gates_channels_by_a_convolution_along_them(data_format):
    x = maps((2, 128, 5, 4))
    layer = EfficientChannelAttention(data_format=data_format)
    layer.build(from_channels_first(x, data_format).shape)
    randomize(layer)
    (kernel,) = layer.get_weights()
    assert kernel.shape == (5,)
    padded = np.pad(x.mean((2, 3)), ((0, 0), (2, 2)))
    logits = sum(padded[:, n : n + 128] * kernel[n] for n in range(5))
    block_attentions.assert_gates_channels(layer, x, 1 / (1 + np.exp(-logits)))


def test_kernel_sizes_of_the_papers_networks():
    sizes = {64: 3, 128: 5, 256: 5, 512: 5, 1024: 5, 2048: 7}
    assert {channels: adaptive_kernel_size(channels) for channels in sizes} == sizes


def test_an_unknown_number_of_channels():
    layer = EfficientChannelAttention(data_format="channels_last")
    block_attentions.assert_refuses_unknown_channels(layer, (None, 4, 4, None))
