import numpy as np
import pytest
from keras import ops

from keras_dla.layers import NonLocal
from keras_dla.layers.block_attention.block_attention import BlockPlace
from tests import golden
from tests.backends import on_pytorch
from tests.layers import block_attentions
from tests.layers.block_attentions import FORMATS, POLICIES, maps, model_of, short_name
from tests.layers.stages import channels_first
from tests.parameters import trainable

SHAPE = (2, 8, 5, 4)
MMCV = {
    "theta.conv": "theta",
    "phi.conv": "phi",
    "g.conv": "g",
    "conv_out.conv": "expand",
    "conv_out.norm": "norm",
}
KINDS = {
    "weight": "kernel",
    "bias": "bias",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
# In training, a constant in front of the BN changes nothing; phi's does not change the softmax.
WITHOUT_GRADIENT = ("phi/bias", "g/bias", "expand/bias")


def from_mmcv(name):
    """Returns our name of one of mmcv's arrays."""
    layer, kind = name.rsplit(".", 1)
    layer, kind = MMCV[layer], KINDS[kind]
    if layer == "norm":
        kind = {"kernel": "gamma", "bias": "beta"}.get(kind, kind)
    return f"{layer}/{kind}"


def ours(array):
    """A 1x1 kernel of PyTorch's as a matrix from inputs to outputs; vectors as they are."""
    return array[:, :, 0, 0].T if array.ndim == 4 else array


def convolve(x, weights, name):
    """A 1x1 convolution of NCHW maps."""
    y = np.einsum("bchw,cd->bdhw", x, weights[f"{name}/kernel"])
    return y + weights[f"{name}/bias"][:, None, None] if f"{name}/bias" in weights else y


def normalize(x, weights):
    """BN with the batch's statistics."""
    mean, variance = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True)
    gamma, beta = (weights[f"norm/{name}"][:, None, None] for name in ("gamma", "beta"))
    return gamma * (x - mean) / np.sqrt(variance + 1e-5) + beta


def softmax(scores, axis):
    exponentials = np.exp(scores - scores.max(axis, keepdims=True))
    return exponentials / exponentials.sum(axis, keepdims=True)


def paper(x, weights, pool_size):
    """Eq. 1, 4 and 6 and the subsampling of Section 3.3, in NumPy, the scores scaled."""
    height, width = (size // pool_size for size in x.shape[2:])
    windows = x[:, :, : height * pool_size, : width * pool_size].reshape(
        *x.shape[:2], height, pool_size, width, pool_size
    )
    smaller = windows.max((3, 5))
    theta = convolve(x, weights, "theta").reshape(len(x), -1, x.shape[2] * x.shape[3])
    phi, g = (convolve(smaller, weights, name) for name in ("phi", "g"))
    phi, g = (y.reshape(*y.shape[:2], -1) for y in (phi, g))
    scores = np.einsum("bci,bcj->bij", theta, phi) / np.sqrt(theta.shape[1])
    y = np.einsum("bij,bcj->bci", softmax(scores, -1), g)
    y = y.reshape(*y.shape[:2], *x.shape[2:])
    return x + normalize(convolve(y, weights, "expand"), weights)


@pytest.mark.parametrize("pool_size", [2, 1])
@pytest.mark.parametrize("data_format", FORMATS)
def test_equation_of_the_paper(data_format, pool_size):
    layer = NonLocal(pool_size=pool_size, data_format=data_format)

    def transcription(x, weights):
        return paper(x, weights, pool_size)

    x = maps(SHAPE)
    block_attentions.assert_equals_transcription(transcription, layer, x, WITHOUT_GRADIENT)


@pytest.mark.parametrize("data_format", FORMATS)
def test_equals_mmcv(data_format):
    """Without pooling; mmcv has no bias in front of the BN."""
    arrays = golden.load("block_nl")
    layer = NonLocal(pool_size=1, data_format=data_format)
    model = model_of(layer, 16)
    variables = {short_name(variable): variable for variable in model.variables}
    for name, array in golden.part(arrays, "state/").items():
        variables[from_mmcv(name)].assign(ours(array))
    images = golden.as_format(arrays["input"], data_format)
    output = channels_first(layer(images), data_format)
    golden.assert_close(output, arrays["output_eval"], 1e-5)
    grads = block_attentions.assert_training_is_golden(model, arrays, data_format)
    expected = {from_mmcv(n): ours(array) for n, array in golden.part(arrays, "grad/").items()}
    assert {*expected, "expand/bias"} == {short_name(v) for v in model.trainable_variables}
    for variable in model.trainable_variables:
        name = short_name(variable)
        if name in WITHOUT_GRADIENT:
            assert np.abs(grads[id(variable)]).max() < 1e-4, name
        else:
            golden.assert_close(grads[id(variable)], expected[name], 1e-5)


def test_begins_as_the_identity():
    x = maps((2, 64, 5, 4)).transpose(0, 2, 3, 1)
    layer = NonLocal(data_format="channels_last")
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x, training=True)), x)
    for linear in (layer.theta, layer.phi, layer.g, layer.expand):
        assert abs(np.std(ops.convert_to_numpy(linear.kernel)) - 0.01) < 1e-3
        assert not ops.convert_to_numpy(linear.bias).any()
    assert layer.norm.epsilon == 1e-5


@pytest.mark.parametrize("policy", POLICIES)
def test_dtype_policies(policy):
    x = maps((2, 32, 5, 4)).transpose(0, 2, 3, 1)
    block_attentions.assert_dtype_policy(policy, x, NonLocal)


def test_large_scores_stay_finite_in_half_precision():
    """Before the division by sqrt(C/2) they are too large for float16."""
    x = np.full((1, 4, 4, 32), 30, "float32")
    layer = NonLocal(data_format="channels_last", dtype="mixed_float16")
    layer.build(x.shape)
    for linear in (layer.theta, layer.phi):
        linear.kernel.assign(np.full((32, 16), 0.1, "float32"))
    assert 16 * (32 * 30 * 0.1) ** 2 > 65504
    assert np.isfinite(ops.convert_to_numpy(layer(x, training=True))).all()


@pytest.mark.parametrize("data_format", FORMATS)
def test_unknown_batch_and_image_size(data_format):
    layer = NonLocal(data_format=data_format)
    block_attentions.assert_keeps_any_shape(layer, [SHAPE, (1, 8, 9, 2)], 1e-5)


def test_copied_by_its_configuration():
    layer = NonLocal(1, 3, "channels_first", dtype="mixed_bfloat16", name="mine")
    copied = block_attentions.copy_by_config(layer)
    assert (copied.blocks, copied.pool_size, copied.data_format) == (1, 3, "channels_first")


def blocks_with(layer, depths):
    """Returns the blocks of a network that have the layer, as (stage, index) from 0."""
    return [
        (stage, index)
        for stage, depth in enumerate(depths)
        for index in range(depth)
        if layer.for_block(BlockPlace(stage, len(depths), index, depth, 16, 1), "a") is not None
    ]


# Those of ResNet-50 and -101 are the places in the authors' code.
FIVE = {
    (3, 4, 6, 3): [(1, 1), (1, 3), (2, 1), (2, 3), (2, 5)],
    (3, 4, 23, 3): [(1, 1), (1, 3), (2, 6), (2, 13), (2, 20)],
    (3, 8, 36, 3): [(1, 3), (1, 7), (2, 11), (2, 23), (2, 35)],
    (1, 1, 1): [(1, 0), (2, 0)],
    (2, 2, 2): [(1, 1), (2, 1)],
    (6, 6, 6): [(1, 2), (1, 5), (2, 1), (2, 3), (2, 5)],
    (12, 12, 12): [(1, 5), (1, 11), (2, 3), (2, 7), (2, 11)],
}


@pytest.mark.parametrize("depths", FIVE)
def test_which_blocks_have_it(depths):
    assert blocks_with(NonLocal(), depths) == FIVE[depths]


@pytest.mark.parametrize("depth", range(1, 40))
def test_at_most_five_and_never_two_in_a_row(depth):
    places = blocks_with(NonLocal(), (depth,) * 3)
    assert len(places) == (1 + 1 if depth < 4 else 4 if depth < 6 else 5)
    assert not any((stage, index + 1) in places for stage, index in places)


def test_one_block_stands_before_the_last_of_the_third_stage():
    layer = NonLocal(blocks=1, pool_size=3)
    assert blocks_with(layer, (3, 4, 6, 3)) == [(2, 4)]
    assert blocks_with(layer, (3, 4, 23, 3)) == [(2, 21)]
    assert blocks_with(layer, (2, 2, 2)) == [(2, 0)]
    assert blocks_with(layer, (1, 1, 1)) == [(2, 0)]
    copied = layer.for_block(BlockPlace(2, 4, 4, 6, 256, 1), "a")
    assert (copied.name, copied.blocks, copied.pool_size) == ("a", 1, 3)


def parameters(channels):
    """Of one block: theta, phi and g, then W_z, all with biases, then the BN."""
    hidden = channels // 2
    return 3 * (channels * hidden + hidden) + hidden * channels + channels + 2 * channels


def added_to_cifar(depth, parameters):
    """With two blocks in ResNet-20 and five in the deeper ones."""
    middle, last = (1, 1) if depth == 20 else (2, 3)
    return middle * parameters(128) + last * parameters(256)


def added_to_imagenet(parameters):
    return 2 * parameters(512) + 3 * parameters(1024)


@on_pytorch
@pytest.mark.parametrize(("depth", "count"), [(20, 409_076), (56, 1_077_812), (110, 1_634_228)])
def test_parameters_of_cifar_networks(depth, count):
    block_attentions.assert_cifar_count("nl", depth, added_to_cifar(depth, parameters), count)


@on_pytorch
@pytest.mark.parametrize(("depth", "count"), [(50, 32_915_496), (101, 51_907_624)])
def test_parameters_of_imagenet_networks(depth, count):
    block_attentions.assert_imagenet_count("nl", depth, added_to_imagenet(parameters), count)


def test_parameters_of_table_3():
    """Mask R-CNN has 44.2M and 63.2M there, with NL 46.5M and 65.5M; one block is 2.1M.

    46.5 is 44.4 + 2.1: GCNet, which printed that row first, counts 44.4M without the block.
    """
    layer = NonLocal(blocks=1, data_format="channels_last")
    layer.build((None, None, None, 1024))
    assert trainable(layer) == parameters(1024) == 2_101_760


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"^`blocks` must be one of 5, 1, but is 3\.$"):
        NonLocal(blocks=3)
    block_attentions.assert_refuses_zero(NonLocal, "pool_size")
    layer = NonLocal(data_format="channels_last")
    sentence = (
        r"^`inputs` must be at least `pool_size` \(2\) high and wide, "
        r"but has shape \(None, 1, 4, 8\)\.$"
    )
    with pytest.raises(ValueError, match=sentence):
        layer.build((None, 1, 4, 8))
    block_attentions.assert_refuses_unknown_channels(layer)
