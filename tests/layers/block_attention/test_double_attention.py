import numpy as np
import pytest
from keras import ops

from keras_dla.layers import DoubleAttention, NonLocal
from tests import golden
from tests.backends import all_on_pytorch, on_pytorch
from tests.layers import block_attentions
from tests.layers.block_attention.test_non_local import (
    FIVE,
    SHAPE,
    added_to_cifar,
    added_to_imagenet,
    blocks_with,
    convolve,
    normalize,
    softmax,
)
from tests.layers.block_attentions import FORMATS, POLICIES, maps
from tests.layers.stages import randomize
from tests.layers.test_formats_and_dtypes import wide_floats
from tests.parameters import trainable

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
    layer = DoubleAttention(reduction=2, data_format=data_format)
    block_attentions.assert_equals_transcription(paper, layer, maps(SHAPE), WITHOUT_GRADIENT)


@pytest.mark.parametrize("dtype", all_on_pytorch(["float64", "float32"], 1))
def test_equals_an_implementation_that_is_not_ours(dtype):
    names = {
        f"attention.{theirs}.{kind}": f"{ours}/{name}"
        for theirs, ours in (("convA", "phi"), ("convB", "theta"), ("convV", "rho"))
        for kind, name in (("weight", "kernel"), ("bias", "bias"))
    }
    names |= {
        "attention.conv_reconstruct.weight": "expand/kernel",
        "norm.weight": "norm/gamma",
        "norm.bias": "norm/beta",
    }
    statistics = {"running_mean": "moving_mean", "running_var": "moving_variance"}
    arrays = golden.load("block_a2")
    with wide_floats(dtype):
        layer = DoubleAttention(reduction=2, data_format="channels_first", dtype=dtype)
        model, images = block_attentions.assert_equals_others(
            layer, arrays, names, dtype, "output_train", WITHOUT_GRADIENT
        )
        for theirs, ours in statistics.items():
            getattr(layer.norm, ours).assign(arrays[f"state/norm.{theirs}"])
        output = model(images, training=False)
        golden.assert_close(output, arrays["output_eval"], block_attentions.EXACT[dtype])


def test_statistics_of_the_bn_at_inference():
    x = maps(SHAPE).transpose(0, 2, 3, 1)
    layer = DoubleAttention(reduction=2, data_format="channels_last")
    layer.build(x.shape)
    randomize(layer)
    output = ops.convert_to_numpy(layer(x))
    alone = ops.convert_to_numpy(layer(x[:1]))
    golden.assert_close(output[:1], alone, 1e-5)


def test_begins_as_the_identity():
    x = maps((2, 64, 5, 4)).transpose(0, 2, 3, 1)
    layer = DoubleAttention(data_format="channels_last")
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x, training=True)), x)
    for linear in (layer.phi, layer.theta, layer.rho, layer.expand):
        largest = np.abs(ops.convert_to_numpy(linear.kernel)).max()
        assert 0.9 < largest / np.sqrt(6 / (64 + 16)) <= 1
    for linear in (layer.phi, layer.theta, layer.rho):
        assert not ops.convert_to_numpy(linear.bias).any()


@pytest.mark.parametrize("policy", POLICIES)
def test_dtype_policies(policy):
    x = maps((2, 32, 5, 4)).transpose(0, 2, 3, 1)
    block_attentions.assert_dtype_policy(policy, x, DoubleAttention)


@pytest.mark.parametrize("data_format", FORMATS)
def test_unknown_batch_and_image_size(data_format):
    layer = DoubleAttention(data_format=data_format)
    block_attentions.assert_keeps_any_shape(layer, [SHAPE, (1, 8, 9, 2)], 1e-5)


def test_copied_by_its_configuration():
    layer = DoubleAttention(8, "channels_first", dtype="mixed_bfloat16", name="mine")
    copied = block_attentions.copy_by_config(layer)
    assert (copied.reduction, copied.data_format) == (8, "channels_first")


@pytest.mark.parametrize("depths", FIVE)
def test_stands_where_the_non_local_blocks_do(depths):
    assert blocks_with(DoubleAttention(), depths) == blocks_with(NonLocal(), depths)


def parameters(channels, reduction=4):
    """Of one block: phi, theta and rho with biases, W without, then the BN."""
    hidden = channels // reduction
    return 3 * (channels * hidden + hidden) + hidden * channels + 2 * channels


@on_pytorch
@pytest.mark.parametrize(("depth", "count"), [(20, 326_484), (56, 846_644), (110, 1_403_060)])
def test_parameters_of_cifar_networks(depth, count):
    block_attentions.assert_cifar_count("a2", depth, added_to_cifar(depth, parameters), count)


@on_pytorch
@pytest.mark.parametrize(("depth", "count"), [(50, 29_238_312), (101, 48_230_440)])
def test_parameters_of_imagenet_networks(depth, count):
    block_attentions.assert_imagenet_count("a2", depth, added_to_imagenet(parameters), count)


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
    block_attentions.assert_refuses_zero(DoubleAttention, "reduction")
    layer = DoubleAttention(reduction=16, data_format="channels_last")
    block_attentions.assert_refuses_8_channels(layer)
    block_attentions.assert_refuses_unknown_channels(layer)
