import numpy as np
import pytest
from keras import ops

from keras_dla.layers import ConvolutionalBlockAttention
from tests import golden
from tests.backends import all_on_pytorch, on_pytorch
from tests.layers import block_attentions
from tests.layers.block_attentions import FORMATS, POLICIES, maps, model_of
from tests.layers.stages import channels_first

SHAPE = (2, 5, 4, 32)
WEIGHTS = [
    "ChannelGate.mlp.1.weight",
    "ChannelGate.mlp.1.bias",
    "ChannelGate.mlp.3.weight",
    "ChannelGate.mlp.3.bias",
    "SpatialGate.spatial.conv.weight",
    "SpatialGate.spatial.bn.weight",
    "SpatialGate.spatial.bn.bias",
]
STATISTICS = ["SpatialGate.spatial.bn.running_mean", "SpatialGate.spatial.bn.running_var"]


def ours(array):
    """A weight of the authors', in PyTorch's order of axes, in Keras's."""
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T


@pytest.mark.parametrize("data_format", FORMATS)
def test_equals_the_authors_code(data_format):
    arrays = golden.load("block_cbam")
    layer = ConvolutionalBlockAttention(reduction=4, data_format=data_format)
    model = model_of(layer, 32)
    variables = dict(zip(WEIGHTS, layer.trainable_variables, strict=True))
    moving = dict(zip(STATISTICS, layer.non_trainable_variables, strict=True))
    for name, variable in {**variables, **moving}.items():
        variable.assign(ours(arrays[f"state/{name}"]))
    images = golden.as_format(arrays["input"], data_format)
    output = channels_first(model(images, training=False), data_format)
    golden.assert_close(output, arrays["output_eval"], 1e-5)
    grads = block_attentions.assert_training_is_golden(model, arrays, data_format)
    for name, variable in variables.items():
        golden.assert_close(grads[id(variable)], ours(arrays[f"grad/{name}"]), 1e-5)


def test_equations_of_the_paper():
    """Eq. 2 and 3, with a BN that does nothing and without biases."""
    x = maps(SHAPE).transpose(0, 3, 1, 2)
    layer = ConvolutionalBlockAttention(reduction=4, data_format="channels_first")
    layer.build(x.shape)
    layer.norm.gamma.assign([np.sqrt(1 + 1e-5)])
    kernels = (layer.reduce_kernel, layer.expand_kernel, layer.convolution.kernel[..., 0])
    reduce, expand, kernel = (ops.convert_to_numpy(kernel) for kernel in kernels)

    def sigmoid(logits):
        return 1 / (1 + np.exp(-logits))

    def perceptron(y):
        return np.maximum(y @ reduce, 0) @ expand

    refined = x * sigmoid(perceptron(x.mean((2, 3))) + perceptron(x.max((2, 3))))[..., None, None]
    pooled = np.stack([refined.max(1), refined.mean(1)], axis=-1)
    padded = np.pad(pooled, ((0, 0), (3, 3), (3, 3), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (7, 7), axis=(1, 2))
    gate = sigmoid(np.einsum("bhwcij,ijc->bhw", windows, kernel))
    golden.assert_close(layer(x, training=False), refined * gate[:, None], 1e-5)


def test_initial_values():
    x = maps(SHAPE)
    layer = ConvolutionalBlockAttention(reduction=4, data_format="channels_last")
    layer.build(x.shape)
    for weight in (layer.reduce_bias, layer.expand_bias, layer.norm.gamma, layer.norm.beta):
        assert not np.any(ops.convert_to_numpy(weight))
    for kernel in (layer.reduce_kernel, layer.expand_kernel):
        assert 0.9 < np.abs(ops.convert_to_numpy(kernel)).max() * np.sqrt(kernel.shape[0]) <= 1
    # He, fan out: 98 entries of deviation sqrt(2 / 49).
    assert 0.14 < np.std(ops.convert_to_numpy(layer.convolution.kernel)) < 0.27
    assert (layer.norm.momentum, layer.norm.epsilon) == (0.99, 1e-5)
    twice = 2 * ops.convert_to_numpy(layer(x, training=True))
    gate = (twice / x).reshape(2, 20, 32)
    np.testing.assert_allclose(gate, np.broadcast_to(gate[:, :1], gate.shape), rtol=1e-4)


@pytest.mark.parametrize("policy", POLICIES)
def test_dtype_policies(policy):
    kind = ConvolutionalBlockAttention
    block_attentions.assert_dtype_policy(policy, maps(SHAPE), kind, reduction=4)


@pytest.mark.parametrize("policy", all_on_pytorch(["mixed_float16", "mixed_bfloat16"], 1))
def test_gradients_in_mixed_precision(policy):
    x, cotangent = maps(SHAPE), maps(SHAPE, seed=1)
    kind = ConvolutionalBlockAttention
    block_attentions.assert_gradients_near_float32(policy, x, cotangent, kind, reduction=4)


@pytest.mark.parametrize("data_format", FORMATS)
def test_unknown_batch_and_image_size(data_format):
    layer = ConvolutionalBlockAttention(4, data_format)
    block_attentions.assert_keeps_any_shape(layer, [(2, 32, 5, 4), (1, 32, 9, 1)], 1e-6)


def test_copied_by_its_configuration():
    layer = ConvolutionalBlockAttention(4, "channels_first", dtype="mixed_bfloat16", name="mine")
    copied = block_attentions.copy_by_config(layer)
    assert (copied.reduction, copied.data_format) == (4, "channels_first")


def parameters(channels):
    """Of one layer: the MLP with its biases, the convolution, the BN's two."""
    hidden = channels // 16
    return 2 * channels * hidden + hidden + channels + 2 * 49 + 2


@on_pytorch
@pytest.mark.parametrize(("depth", "count"), [(20, 266_564), (56, 683_620), (110, 1_309_204)])
def test_parameters_of_cifar_networks(depth, count):
    added = (depth - 2) // 9 * sum(parameters(channels) for channels in (64, 128, 256))
    block_attentions.assert_cifar_count("cbam", depth, added, count)


@on_pytorch
@pytest.mark.parametrize(
    ("depth", "blocks", "count", "published"),
    [(50, (3, 4, 6, 3), 28_089_624, "28.1"), (101, (3, 4, 23, 3), 49_330_172, "49.3")],
)
def test_parameters_of_table_2(depth, blocks, count, published):
    channels = (256, 512, 1024, 2048)
    added = sum(n * parameters(c) for n, c in zip(blocks, channels, strict=True))
    block_attentions.assert_imagenet_count("cbam", depth, added, count)
    assert f"{count / 1e6:.1f}" == published


def test_bad_arguments():
    block_attentions.assert_refuses_zero(ConvolutionalBlockAttention, "reduction")
    layer = ConvolutionalBlockAttention(data_format="channels_last")
    block_attentions.assert_refuses_8_channels(layer)
    block_attentions.assert_refuses_unknown_channels(layer)
