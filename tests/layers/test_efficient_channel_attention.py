import numpy as np
import pytest

from keras_dla.layers import EfficientChannelAttention
from keras_dla.layers.channel_convolution import adaptive_kernel_size
from tests.layers.stages import channels_first, from_channels_first, randomize


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_gates_channels_by_a_convolution_along_them(data_format):
    x = np.random.default_rng(0).normal(size=(2, 128, 5, 4)).astype("float32")
    layer = EfficientChannelAttention(data_format=data_format)
    layer.build(from_channels_first(x, data_format).shape)
    randomize(layer)
    (kernel,) = layer.get_weights()
    assert kernel.shape == (5,)
    padded = np.pad(x.mean((2, 3)), ((0, 0), (2, 2)))
    logits = sum(padded[:, n : n + 128] * kernel[n] for n in range(5))
    expected = x / (1 + np.exp(-logits))[:, :, None, None]
    outputs = channels_first(layer(from_channels_first(x, data_format)), data_format)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-6)


def test_kernel_sizes_of_the_papers_networks():
    sizes = {64: 3, 128: 5, 256: 5, 512: 5, 1024: 5, 2048: 7}
    assert {channels: adaptive_kernel_size(channels) for channels in sizes} == sizes


def test_an_unknown_number_of_channels():
    layer = EfficientChannelAttention(data_format="channels_last")
    with pytest.raises(ValueError, match="`inputs` must have a known number of channels"):
        layer.build((None, 4, 4, None))
