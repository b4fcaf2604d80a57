import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from keras_dla.layers import Conv2D
from tests.gradients import gradients
from tests.layers.stages import channels_first, from_channels_first


def padded_on_both_sides(x, kernel, strides):
    """NCHW convolution, zero-padded by (size - 1) // 2 on every side, as PyTorch has it."""
    half = (kernel.shape[0] - 1) // 2
    x = np.pad(x, ((0, 0), (0, 0), (half, half), (half, half)))
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], axis=(2, 3))
    return np.einsum("bchwij,ijcd->bdhw", windows[:, :, ::strides, ::strides], kernel)


@settings(deadline=None, max_examples=12)
@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernel_size=st.sampled_from([1, 3, 7]),
    strides=st.sampled_from([1, 2]),
    data_format=st.sampled_from(["channels_last", "channels_first"]),
)
def test_pads_every_side_alike(size, kernel_size, strides, data_format):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 3, *size)).astype("float32")
    convolution = Conv2D(4, kernel_size, strides, data_format=data_format)
    outputs = convolution(from_channels_first(x, data_format))
    expected = padded_on_both_sides(x, ops.convert_to_numpy(convolution.kernel), strides)
    np.testing.assert_allclose(channels_first(outputs, data_format), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("width", [4, 5])
def test_bias(width, data_format):
    """Also where the width is the number of filters, which Keras on TensorFlow mistakes for it."""
    x = np.random.default_rng(0).normal(size=(2, 3, 6, width)).astype("float32")
    convolution = Conv2D(4, 3, use_bias=True, activation="relu", data_format=data_format)
    convolution.build(from_channels_first(x, data_format).shape)
    bias = np.array([0.5, -1, 2, 0], "float32")
    convolution.bias.assign(bias)
    outputs = channels_first(convolution(from_channels_first(x, data_format)), data_format)
    expected = padded_on_both_sides(x, ops.convert_to_numpy(convolution.kernel), 1)
    expected = np.maximum(expected + bias[:, None, None], 0)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_config_round_trip(data_format):
    convolution = Conv2D(4, 3, 2, data_format=data_format, name="stem")
    copied = Conv2D.from_config(convolution.get_config())
    assert copied.get_config() == convolution.get_config()
    assert copied.strides == (2, 2)
    assert not copied.use_bias


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("strides", [1, 2])
def test_gradients_of_a_1x1_convolution(strides, data_format):
    """JAX on a CPU computes it as a product of matrices."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 3, 5, 6)).astype("float32")
    cotangent = rng.normal(size=(2, 4, *x[:, 0, ::strides, ::strides].shape[1:])).astype("float32")
    inputs = keras.Input(from_channels_first(x, data_format).shape[1:])
    convolution = Conv2D(4, 1, strides, data_format=data_format)
    model = keras.Model(inputs, convolution(inputs))
    _, of_x, of_weights = gradients(
        model, from_channels_first(x, data_format), from_channels_first(cotangent, data_format)
    )
    kernel = keras.ops.convert_to_numpy(convolution.kernel)[0, 0]
    expected = np.zeros_like(x)
    expected[:, :, ::strides, ::strides] = np.einsum("bdhw,cd->bchw", cotangent, kernel)
    np.testing.assert_allclose(channels_first(of_x, data_format), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        of_weights[id(convolution.kernel)][0, 0],
        np.einsum("bchw,bdhw->cd", x[:, :, ::strides, ::strides], cotangent),
        rtol=1e-5,
        atol=1e-5,
    )
