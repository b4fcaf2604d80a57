import keras
import numpy as np
import pytest

from keras_dla.ops.channels import spatial_axes
from keras_dla.ops.convolution import conv2d
from keras_dla.ops.pooling import average_halved, max_pool
from keras_dla.ops.softmax import softmax
from tests.gradients import gradients
from tests.layers.block_attentions import FORMATS, maps
from tests.layers.stages import channels_first, from_channels_first

BACKEND = keras.backend.backend()


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


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("size", [(4, 6), (5, 4), (3, 8)])
def test_max_pool_leaves_out_the_rest(size, data_format):
    x = maps((2, 3, *size))
    height, width = size[0] // 3, size[1] // 3
    whole = x[:, :, : height * 3, : width * 3].reshape(2, 3, height, 3, width, 3)
    found = max_pool(
        keras.ops.convert_to_tensor(from_channels_first(x, data_format)), 3, data_format
    )
    np.testing.assert_array_equal(channels_first(found, data_format), whole.max(axis=(3, 5)))


@pytest.mark.skipif(BACKEND != "jax", reason="JAX reasons about unknown sizes")
@pytest.mark.parametrize("data_format", FORMATS)
def test_unknown_sizes_fit_each_other(data_format):
    """RLA adds a halved map to a convolution with stride 2; NL counts a pooled map's pixels."""
    import jax

    last = data_format == "channels_last"
    shape = jax.export.symbolic_shape("n, a, b, 4" if last else "n, 4, a, b")

    def run(x):
        strided = conv2d(x, keras.ops.ones((3, 3, 4, 4)), (2, 2), data_format)
        halved = strided + average_halved(x, data_format)
        pooled = max_pool(halved, 2, data_format)
        pixels = keras.ops.reshape(pooled, (pooled.shape[0], -1, 4))
        return halved, softmax(pixels, 1)

    exported = jax.export.export(jax.jit(run))(jax.ShapeDtypeStruct(shape, "float32"))
    for size in ((6, 9), (7, 5)):
        x = from_channels_first(maps((2, 4, *size)), data_format)
        for found, expected in zip(exported.call(x), run(x), strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.skipif(BACKEND != "torch", reason="PyTorch traces one size for all")
@pytest.mark.parametrize("data_format", FORMATS)
def test_a_traced_pooling_halves_any_size(data_format):
    import torch

    class Module(torch.nn.Module):
        def forward(self, x):
            return average_halved(x, data_format)

    free = dict.fromkeys(spatial_axes(data_format), torch.export.Dim.DYNAMIC)
    traced_at, x = (
        torch.tensor(from_channels_first(maps((2, 3, *size)), data_format))
        for size in ((10, 12), (7, 5))
    )
    traced = torch.export.export(Module(), (traced_at,), dynamic_shapes=(free,))
    torch.testing.assert_close(traced.module()(x), average_halved(x, data_format))
