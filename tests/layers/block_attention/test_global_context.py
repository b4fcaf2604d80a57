import numpy as np
import pytest
from keras import ops

from keras_dla.layers import GlobalContext
from keras_dla.layers.block_attention.block_attention import BlockPlace
from tests import golden
from tests.backends import all_on_pytorch, on_pytorch
from tests.layers import block_attentions
from tests.layers.block_attentions import FORMATS, POLICIES, maps, model_of
from tests.layers.stages import randomize

SHAPE = (2, 5, 4, 32)
WEIGHTS = {
    "conv_mask.weight": "score_kernel",
    "conv_mask.bias": "score_bias",
    "channel_add_conv.0.weight": "reduce_kernel",
    "channel_add_conv.0.bias": "reduce_bias",
    "channel_add_conv.1.weight": "gamma",
    "channel_add_conv.1.bias": "beta",
    "channel_add_conv.3.weight": "expand_kernel",
    "channel_add_conv.3.bias": "expand_bias",
}
# The softmax does not change where all scores do: a gradient of zero.
WITHOUT_GRADIENT = ("score_bias",)


def ours(array, variable):
    """A weight of the authors', a 1x1 convolution's in PyTorch's order of axes, in Keras's."""
    return array.reshape(len(array), -1).T.reshape(variable.shape)


@pytest.mark.parametrize("data_format", FORMATS)
def test_equals_the_authors_code(data_format):
    arrays = golden.load("block_gc")
    layer = GlobalContext(reduction=4, data_format=data_format)
    model = model_of(layer, 32)
    by_name = {variable.name: variable for variable in layer.trainable_variables}
    variables = {theirs: by_name[name] for theirs, name in WEIGHTS.items()}
    for name, variable in variables.items():
        variable.assign(ours(arrays[f"state/{name}"], variable))
    grads = block_attentions.assert_training_is_golden(model, arrays, data_format, output="output")
    assert abs(grads[id(variables.pop("conv_mask.bias"))][0]) < 1e-4
    for name, variable in variables.items():
        expected = ours(arrays[f"grad/{name}"], variable)
        golden.assert_close(grads[id(variable)], expected, 1e-5)


def test_equation_of_the_paper():
    """Eq. 5 and the LayerNorm and ReLU of its Fig. 4(d), position by position."""
    x = maps(SHAPE)
    layer = GlobalContext(reduction=4, data_format="channels_last")
    layer.build(x.shape)
    weights = {weight.name: ops.convert_to_numpy(weight) for weight in randomize(layer).weights}
    for image, output in zip(x, ops.convert_to_numpy(layer(x)), strict=True):
        positions = image.reshape(-1, 32)
        attention = np.exp([weights["score_kernel"] @ x_j for x_j in positions])
        attention /= attention.sum()
        context = sum(a_j * x_j for a_j, x_j in zip(attention, positions, strict=True))
        hidden = context @ weights["reduce_kernel"] + weights["reduce_bias"]
        hidden = (hidden - hidden.mean()) / np.sqrt(hidden.var() + 1e-5)
        hidden = np.maximum(hidden * weights["gamma"] + weights["beta"], 0)
        added = hidden @ weights["expand_kernel"] + weights["expand_bias"]
        golden.assert_close(output, image + added, 1e-5)


def test_begins_as_the_identity():
    x = maps((2, 5, 4, 512))
    layer = GlobalContext(data_format="channels_last")
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x)), x)
    assert abs(np.std(ops.convert_to_numpy(layer.score_kernel)) * np.sqrt(512 / 2) - 1) < 0.2
    for weight in (layer.reduce_kernel, layer.reduce_bias):
        assert 0.8 < np.abs(ops.convert_to_numpy(weight)).max() * np.sqrt(512) <= 1
    assert layer.norm.epsilon == 1e-5


def test_large_scores_do_not_overflow():
    x = 100 * maps(SHAPE)
    layer = GlobalContext(reduction=4, data_format="channels_last")
    layer.build(x.shape)
    randomize(layer)
    layer.score_kernel.assign(np.full(32, 10.0))
    assert np.isfinite(ops.convert_to_numpy(layer(x))).all()


@pytest.mark.parametrize("policy", POLICIES)
def test_dtype_policies(policy):
    block_attentions.assert_dtype_policy(policy, maps(SHAPE), GlobalContext, reduction=4)


@pytest.mark.parametrize("policy", all_on_pytorch(["mixed_float16", "mixed_bfloat16"], 1))
def test_gradients_in_mixed_precision(policy):
    """The gradient of the scores is a small difference of rounded numbers."""
    block_attentions.assert_gradients_near_float32(
        policy,
        maps(SHAPE),
        maps(SHAPE, seed=1),
        GlobalContext,
        tolerance=0.15,
        without_gradient=WITHOUT_GRADIENT,
        reduction=4,
    )


@pytest.mark.parametrize("data_format", FORMATS)
def test_unknown_batch_and_image_size(data_format):
    layer = GlobalContext(reduction=4, data_format=data_format)
    block_attentions.assert_keeps_any_shape(layer, [(2, 32, 5, 4), (1, 32, 9, 1)], 1e-6)


def test_copied_by_its_configuration():
    layer = GlobalContext(4, 2, "channels_first", dtype="mixed_bfloat16", name="mine")
    copied = block_attentions.copy_by_config(layer)
    assert (copied.reduction, copied.last_stages, copied.data_format) == (4, 2, "channels_first")


def test_which_blocks_have_it():
    place = BlockPlace(stage=0, stages=4, index=0, depth=3, planes=64, strides=1)
    layer = GlobalContext(reduction=8)
    assert layer.for_block(place, "a") is None
    assert layer.for_block(place._replace(stages=3), "a").reduction == 8
    for stage in (1, 2, 3):
        copied = layer.for_block(place._replace(stage=stage), "a")
        assert (copied.name, copied.reduction) == ("a", 8)
    assert GlobalContext(last_stages=4).for_block(place, "a") is not None


def parameters(channels, reduction=16):
    """Of one layer: scores, reduction, LayerNorm and expansion, all with biases."""
    hidden = channels // reduction
    return channels + 1 + (channels * hidden + hidden) + 2 * hidden + hidden * channels + channels


@on_pytorch
@pytest.mark.parametrize(("depth", "count"), [(20, 266_978), (56, 684_862), (110, 1_311_688)])
def test_parameters_of_cifar_networks(depth, count):
    added = (depth - 2) // 9 * sum(parameters(channels) for channels in (64, 128, 256))
    block_attentions.assert_cifar_count("gc", depth, added, count)


@on_pytorch
@pytest.mark.parametrize(
    ("depth", "blocks", "count"), [(50, (4, 6, 3), 28_078_773), (101, (4, 23, 3), 49_337_222)]
)
def test_parameters_of_imagenet_networks(depth, blocks, count):
    channels = (512, 1024, 2048)
    added = sum(n * parameters(c) for n, c in zip(blocks, channels, strict=True))
    block_attentions.assert_imagenet_count("gc", depth, added, count)


def test_where_the_29_4_million_of_table_2_come_from():
    """28.1 million are 29.4 once they are taken for mebi and converted: times 1.048576.

    In every block of the network, the first stage's too, they would be 29.5.
    """
    assert f"{28_078_773 / 1e6:.1f}" == "28.1"
    assert f"{28_078_773 * 2**20 / 1e12:.1f}" == "29.4"
    everywhere = 28_078_773 + 3 * parameters(256)
    assert f"{everywhere * 2**20 / 1e12:.1f}" == "29.5"


def test_table_3_has_a_reduction_of_4():
    """What GC adds to Mask R-CNN: 10 million with ResNet-50, 19 with ResNet-101."""
    added = {
        depth: sum(n * parameters(c, 4) for n, c in zip(blocks, (512, 1024, 2048), strict=True))
        for depth, blocks in ((50, (4, 6, 3)), (101, (4, 23, 3)))
    }
    assert added == {50: 10_000_909, 101: 18_961_694}


def test_bad_arguments():
    for name in ("reduction", "last_stages"):
        block_attentions.assert_refuses_zero(GlobalContext, name)
    layer = GlobalContext(data_format="channels_last")
    block_attentions.assert_refuses_8_channels(layer)
    block_attentions.assert_refuses_unknown_channels(layer)
