import numpy as np
import pytest
from keras import ops

from keras_dla.layers import DoubleAttention, NonLocal
from keras_dla.models import ResNet
from tests import golden
from tests.layers.stages import randomize
from tests.layers.test_formats_and_dtypes import (
    MAPS,
    TOLERANCES,
    copied_weights,
    name_of,
    wide_floats,
)
from tests.layers.test_non_local import (
    FIVE,
    FORMATS,
    assert_every_weight_learns,
    assert_is,
    blocks_with,
    convolve,
    maps,
    model_of,
    normalize,
    softmax,
    trainable,
)
from tests.layers.test_serialization import round_trip

# Theta's does not change the softmax; phi's adds a constant in front of the BN.
WITHOUT_GRADIENT = ("theta/bias", "phi/bias")


def paper(x, weights):
    """Eq. 4, 6 and 7 in NumPy, image by image, position by position."""
    height, width = x.shape[2:]
    outputs = []
    for image in x:
        a, b, v = (
            convolve(image[None], weights, name)[0].reshape(-1, height * width)
            for name in ("phi", "theta", "rho")
        )
        descriptors = [a @ softmax(row, 0) for row in b]
        z = [sum(g * w for g, w in zip(descriptors, softmax(v_i, 0), strict=True)) for v_i in v.T]
        outputs.append(np.stack(z, axis=1).reshape(-1, height, width))
    return x + normalize(convolve(np.stack(outputs), weights, "expand"), weights)


@pytest.mark.parametrize("data_format", FORMATS)
def test_equations_of_the_paper(data_format):
    assert_is(paper, DoubleAttention(reduction=2, data_format=data_format), WITHOUT_GRADIENT)


def test_statistics_of_the_bn_at_inference():
    x = maps().transpose(0, 2, 3, 1)
    layer = DoubleAttention(reduction=2, data_format="channels_last")
    layer.build(x.shape)
    randomize(layer)
    output = ops.convert_to_numpy(layer(x))
    alone = ops.convert_to_numpy(layer(x[:1]))
    golden.assert_close(output[:1], alone, 1e-5)


def test_begins_as_the_identity():
    x = maps(channels=64).transpose(0, 2, 3, 1)
    layer = DoubleAttention(data_format="channels_last")
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x, training=True)), x)
    for linear in (layer.phi, layer.theta, layer.rho, layer.expand):
        largest = np.abs(ops.convert_to_numpy(linear.kernel)).max()
        assert 0.9 < largest / np.sqrt(6 / (64 + 16)) <= 1
    for linear in (layer.phi, layer.theta, layer.rho):
        assert not ops.convert_to_numpy(linear.bias).any()


@pytest.mark.parametrize("policy", [*TOLERANCES, "float32"])
def test_dtype_policies(policy):
    x = maps(channels=32).transpose(0, 2, 3, 1)
    reference = DoubleAttention(data_format="channels_last")
    reference.build(x.shape)
    expected = ops.convert_to_numpy(randomize(reference)(x))
    with wide_floats(policy):
        layer = DoubleAttention(data_format="channels_last", dtype=policy)
        layer.build(x.shape)
        output = copied_weights(layer, reference)(x)
        assert name_of(output) == MAPS.get(policy, "float32")
        assert {name_of(weight) for weight in layer.weights} == {layer.variable_dtype}
        output = ops.convert_to_numpy(ops.cast(output, "float32"))
    golden.assert_close(output, expected, TOLERANCES.get(policy, 1e-6))


@pytest.mark.parametrize("data_format", FORMATS)
def test_unknown_batch_and_image_size(data_format):
    layer = DoubleAttention(data_format=data_format)
    model = model_of(layer, 8)
    randomize(model)
    assert model.output_shape == model.input_shape
    for shape in ((2, 8, 5, 4), (1, 8, 9, 2)):
        images = np.random.default_rng(0).normal(size=shape).astype("float32")
        images = golden.as_format(images, data_format)
        outputs = ops.convert_to_numpy(layer(images))
        golden.assert_close(model.predict(images, verbose=0), outputs, 1e-5)


def test_saved_and_loaded(tmp_path):
    layer = DoubleAttention(8, "channels_first", dtype="mixed_bfloat16", name="mine")
    copied = DoubleAttention.from_config(layer.get_config())
    assert copied.get_config() == layer.get_config()
    assert (copied.reduction, copied.data_format) == (8, "channels_first")
    loaded = round_trip(ResNet(20, "a2", classes=5), tmp_path, (2, 9, 8, 3))
    assert loaded.get_layer("stage3_block2_attention").reduction == 4


def test_every_weight_of_a_network_learns():
    assert_every_weight_learns("a2", WITHOUT_GRADIENT)


@pytest.mark.parametrize("depths", FIVE)
def test_stands_where_the_non_local_blocks_do(depths):
    assert blocks_with(DoubleAttention(), depths) == blocks_with(NonLocal(), depths)


def parameters(channels, reduction=4):
    """Of one block: phi, theta and rho with biases, W without, then the BN."""
    hidden = channels // reduction
    return 3 * (channels * hidden + hidden) + hidden * channels + 2 * channels


@pytest.mark.parametrize(
    ("depth", "numbers", "plain", "count"),
    [
        (20, (1, 1), 243_508, 326_484),
        (56, (2, 3), 614_452, 846_644),
        (110, (2, 3), 1_170_868, 1_403_060),
    ],
)
def test_parameters_of_cifar_networks(depth, numbers, plain, count):
    added = sum(n * parameters(c) for n, c in zip(numbers, (128, 256), strict=True))
    assert trainable(ResNet(depth, "a2")) == plain + added == count


@pytest.mark.parametrize(
    ("depth", "plain", "count"), [(50, 25_557_032, 29_238_312), (101, 44_549_160, 48_230_440)]
)
def test_parameters_of_imagenet_networks(depth, plain, count):
    added = 2 * parameters(512) + 3 * parameters(1024)
    assert trainable(ResNet(depth, "a2", stem="imagenet")) == plain + added == count


def test_table_2():
    """Its 34.6M are ECA-Net's 33.00M, taken for mebi and converted, as are GC's and AA's there.

    Five blocks with m = n = C/2 come nearest: 32.9M. Those with the C/4 of the paper are 29.2M.
    """
    assert f"{33.00 * 2**20 / 1e6:.1f}" == "34.6"
    halved = 25_557_032 + 2 * parameters(512, 2) + 3 * parameters(1024, 2)
    assert halved == 32_911_400
    layer = DoubleAttention(reduction=2, data_format="channels_last")
    layer.build((None, None, None, 1024))
    assert trainable(layer) == parameters(1024, 2)


def test_bad_arguments():
    sentence = r"^`reduction` must be an integer of at least 1, but is 0\.$"
    with pytest.raises(ValueError, match=sentence):
        DoubleAttention(reduction=0)
    layer = DoubleAttention(reduction=16, data_format="channels_last")
    sentence = r"^`reduction` must be at most the number of channels \(8\), but is 16\.$"
    with pytest.raises(ValueError, match=sentence):
        layer.build((None, 2, 2, 8))
    with pytest.raises(ValueError, match="`inputs` must have a known number of channels on axis"):
        layer.build((None, 2, 2, None))
