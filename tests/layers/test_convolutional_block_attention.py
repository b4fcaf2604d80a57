import keras
import numpy as np
import pytest
from keras import ops

from keras_dla.layers import ConvolutionalBlockAttention
from keras_dla.models import ResNet
from tests import golden
from tests.gradients import gradients
from tests.layers.stages import channels_first, randomize
from tests.layers.test_formats_and_dtypes import (
    MAPS,
    TOLERANCES,
    copied_weights,
    name_of,
    wide_floats,
)
from tests.layers.test_serialization import round_trip

FORMATS = ["channels_last", "channels_first"]
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


def model_of(layer, channels):
    last = layer.data_format == "channels_last"
    images = keras.Input((None, None, channels) if last else (channels, None, None))
    return keras.Model(images, layer(images))


def maps(channels=32, seed=0, batch=2):
    return np.random.default_rng(seed).normal(size=(batch, 5, 4, channels)).astype("float32")


@pytest.mark.parametrize("data_format", FORMATS)
def test_equals_the_authors_code(data_format):
    arrays = golden.load("block_cbam")
    layer = ConvolutionalBlockAttention(reduction=4, data_format=data_format)
    model = model_of(layer, 32)
    variables = dict(zip(WEIGHTS, layer.trainable_variables, strict=True))
    moving = dict(zip(STATISTICS, layer.non_trainable_variables, strict=True))
    for name, variable in {**variables, **moving}.items():
        variable.assign(ours(arrays[f"state/{name}"]))
    images, cotangent = (
        golden.as_format(arrays[name], data_format) for name in ("input", "cotangent")
    )

    output = channels_first(model(images, training=False), data_format)
    golden.assert_close(output, arrays["output_eval"], 1e-5)

    output, input_grad, weight_grads = gradients(model, images, cotangent)
    golden.assert_close(channels_first(output, data_format), arrays["output_train"], 1e-5)
    golden.assert_close(channels_first(input_grad, data_format), arrays["input_grad"], 1e-5)
    for name, variable in variables.items():
        golden.assert_close(weight_grads[id(variable)], ours(arrays[f"grad/{name}"]), 1e-5)


def test_equations_of_the_paper():
    """Eq. 2 and 3, with a BN that does nothing and without biases."""
    x = maps().transpose(0, 3, 1, 2)
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
    x = maps()
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


@pytest.mark.parametrize("policy", [*TOLERANCES, "float32"])
def test_dtype_policies(policy):
    x = maps()
    reference = ConvolutionalBlockAttention(reduction=4, data_format="channels_last")
    reference.build(x.shape)
    expected = ops.convert_to_numpy(randomize(reference)(x))
    with wide_floats(policy):
        layer = ConvolutionalBlockAttention(4, "channels_last", dtype=policy)
        layer.build(x.shape)
        output = copied_weights(layer, reference)(x)
        assert name_of(output) == MAPS.get(policy, "float32")
        assert {name_of(weight) for weight in layer.weights} == {layer.variable_dtype}
        output = ops.convert_to_numpy(ops.cast(output, "float32"))
    golden.assert_close(output, expected, TOLERANCES.get(policy, 1e-6))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_gradients_in_mixed_precision(policy):
    x, cotangent = maps(seed=0), maps(seed=1)
    found = {}
    for dtype in ("float32", policy):
        layer = ConvolutionalBlockAttention(4, "channels_last", dtype=dtype)
        images = keras.Input((None, None, 32))
        outputs = keras.layers.Activation("linear", dtype="float32")(layer(images))
        model = keras.Model(images, outputs)
        randomize(model)
        _, input_grad, grads = gradients(model, x, cotangent)
        found[dtype] = [input_grad, *(grads[id(w)] for w in model.trainable_variables)]
    for grad, expected in zip(found[policy], found["float32"], strict=True):
        assert np.linalg.norm(grad - expected) < 0.05 * np.linalg.norm(expected)


@pytest.mark.parametrize("data_format", FORMATS)
def test_unknown_batch_and_image_size(data_format):
    layer = ConvolutionalBlockAttention(4, data_format)
    model = model_of(layer, 32)
    randomize(model)
    assert model.output_shape == model.input_shape
    for shape in ((2, 32, 5, 4), (1, 32, 9, 1)):
        images = np.random.default_rng(0).normal(size=shape).astype("float32")
        images = golden.as_format(images, data_format)
        outputs = ops.convert_to_numpy(layer(images))
        golden.assert_close(model.predict(images, verbose=0), outputs, 1e-6)


def test_saved_and_loaded(tmp_path):
    layer = ConvolutionalBlockAttention(4, "channels_first", dtype="mixed_bfloat16", name="mine")
    copied = ConvolutionalBlockAttention.from_config(layer.get_config())
    assert copied.get_config() == layer.get_config()
    assert (copied.reduction, copied.data_format) == (4, "channels_first")
    loaded = round_trip(ResNet(20, "cbam", classes=5), tmp_path, (2, 9, 8, 3))
    assert loaded.get_layer("stage3_block2_attention").reduction == 16


def test_every_weight_of_a_network_learns():
    model = ResNet(20, "cbam", classes=3, classifier_activation=None, input_shape=(8, 8, 3))
    randomize(model)
    rng = np.random.default_rng(0)
    images = rng.normal(size=(4, 8, 8, 3)).astype("float32")
    _, _, grads = gradients(model, images, rng.normal(size=(4, 3)).astype("float32"))
    for weight in model.trainable_variables:
        assert np.any(grads[id(weight)]), weight.path


def parameters(channels):
    """Of one layer: the MLP with its biases, the convolution, the BN's two."""
    hidden = channels // 16
    return 2 * channels * hidden + hidden + channels + 2 * 49 + 2


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_variables)


@pytest.mark.parametrize(
    ("depth", "plain", "count"),
    [(20, 243_508, 266_564), (56, 614_452, 683_620), (110, 1_170_868, 1_309_204)],
)
def test_parameters_of_cifar_networks(depth, plain, count):
    added = (depth - 2) // 9 * sum(parameters(channels) for channels in (64, 128, 256))
    assert trainable(ResNet(depth, "cbam")) == plain + added == count


@pytest.mark.parametrize(
    ("depth", "blocks", "plain", "count", "published"),
    [
        (50, (3, 4, 6, 3), 25_557_032, 28_089_624, "28.1"),
        (101, (3, 4, 23, 3), 44_549_160, 49_330_172, "49.3"),
    ],
)
def test_parameters_of_table_2(depth, blocks, plain, count, published):
    channels = (256, 512, 1024, 2048)
    added = sum(n * parameters(c) for n, c in zip(blocks, channels, strict=True))
    assert trainable(ResNet(depth, "cbam", stem="imagenet")) == plain + added == count
    assert f"{count / 1e6:.1f}" == published


def test_bad_arguments():
    sentence = r"^`reduction` must be an integer of at least 1, but is 0\.$"
    with pytest.raises(ValueError, match=sentence):
        ConvolutionalBlockAttention(reduction=0)
    layer = ConvolutionalBlockAttention(data_format="channels_last")
    sentence = r"`reduction` must be at most the number of channels \(8\), but is 16\."
    with pytest.raises(ValueError, match=sentence):
        layer.build((None, 2, 2, 8))
    with pytest.raises(ValueError, match="`inputs` must have a known number of channels on axis"):
        layer.build((None, 2, 2, None))
