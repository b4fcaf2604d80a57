import keras
import numpy as np
import pytest
from keras import ops

from keras_dla.layers import NonLocal
from keras_dla.layers.block_attention import BlockPlace
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


def short_name(variable):
    """The layer and the name of a variable: theta/kernel."""
    return "/".join(variable.path.split("/")[-2:])


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


def model_of(layer, channels):
    last = layer.data_format == "channels_last"
    images = keras.Input((None, None, channels) if last else (channels, None, None))
    return keras.Model(images, layer(images))


def maps(channels=8, seed=0):
    """Feature maps, NCHW."""
    return np.random.default_rng(seed).normal(size=(2, channels, 5, 4)).astype("float32")


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


def differences(function, array, cotangent, step=1e-5):
    """Returns the gradient of sum(function() * cotangent) by every entry of `array`."""
    grad = np.zeros_like(array)
    for index in np.ndindex(*array.shape):
        value = array[index]
        array[index] = value + step
        above = function()
        array[index] = value - step
        grad[index] = ((above - function()) * cotangent).sum() / (2 * step)
        array[index] = value
    return grad


def assert_is(transcription, layer, without_gradient, channels=8):
    """Asserts values and gradients of `layer` in training, given a NumPy function in float64."""
    model = model_of(layer, channels)
    randomize(model)
    x, cotangent = maps(channels, seed=0), maps(channels, seed=1)
    variables = {short_name(variable): variable for variable in model.trainable_variables}
    weights = {n: ops.convert_to_numpy(v).astype("float64") for n, v in variables.items()}
    wide = x.astype("float64")

    images = golden.as_format(x, layer.data_format)
    output, input_grad, grads = gradients(
        model, images, golden.as_format(cotangent, layer.data_format)
    )
    golden.assert_close(
        channels_first(output, layer.data_format), transcription(wide, weights), 1e-5
    )

    def run():
        return transcription(wide, weights)

    expected = differences(run, wide, cotangent)
    golden.assert_close(channels_first(input_grad, layer.data_format), expected, 1e-5)
    for name, variable in variables.items():
        grad = grads[id(variable)]
        if name in without_gradient:
            assert np.abs(grad).max() < 1e-4, name
        else:
            golden.assert_close(grad, differences(run, weights[name], cotangent), 1e-5)


@pytest.mark.parametrize("pool_size", [2, 1])
@pytest.mark.parametrize("data_format", FORMATS)
def test_equation_of_the_paper(data_format, pool_size):
    layer = NonLocal(pool_size=pool_size, data_format=data_format)
    assert_is(lambda x, weights: paper(x, weights, pool_size), layer, WITHOUT_GRADIENT)


@pytest.mark.parametrize("data_format", FORMATS)
def test_equals_mmcv(data_format):
    """Without pooling; mmcv has no bias in front of the BN."""
    arrays = golden.load("block_nl")
    layer = NonLocal(pool_size=1, data_format=data_format)
    model = model_of(layer, 16)
    variables = {short_name(variable): variable for variable in model.variables}
    for name, array in golden.part(arrays, "state/").items():
        variables[from_mmcv(name)].assign(ours(array))
    images, cotangent = (
        golden.as_format(arrays[name], data_format) for name in ("input", "cotangent")
    )

    output = channels_first(layer(images), data_format)
    golden.assert_close(output, arrays["output_eval"], 1e-5)
    output, input_grad, grads = gradients(model, images, cotangent)
    golden.assert_close(channels_first(output, data_format), arrays["output_train"], 1e-5)
    golden.assert_close(channels_first(input_grad, data_format), arrays["input_grad"], 1e-5)
    expected = {from_mmcv(n): ours(array) for n, array in golden.part(arrays, "grad/").items()}
    assert {*expected, "expand/bias"} == {short_name(v) for v in model.trainable_variables}
    for variable in model.trainable_variables:
        name = short_name(variable)
        if name in WITHOUT_GRADIENT:
            assert np.abs(grads[id(variable)]).max() < 1e-4, name
        else:
            golden.assert_close(grads[id(variable)], expected[name], 1e-5)


def test_begins_as_the_identity():
    x = maps(channels=64).transpose(0, 2, 3, 1)
    layer = NonLocal(data_format="channels_last")
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x, training=True)), x)
    for linear in (layer.theta, layer.phi, layer.g, layer.expand):
        assert abs(np.std(ops.convert_to_numpy(linear.kernel)) - 0.01) < 1e-3
        assert not ops.convert_to_numpy(linear.bias).any()
    assert layer.norm.epsilon == 1e-5


@pytest.mark.parametrize("policy", [*TOLERANCES, "float32"])
def test_dtype_policies(policy):
    x = maps(channels=32).transpose(0, 2, 3, 1)
    reference = NonLocal(data_format="channels_last")
    reference.build(x.shape)
    expected = ops.convert_to_numpy(randomize(reference)(x))
    with wide_floats(policy):
        layer = NonLocal(data_format="channels_last", dtype=policy)
        layer.build(x.shape)
        output = copied_weights(layer, reference)(x)
        assert name_of(output) == MAPS.get(policy, "float32")
        assert {name_of(weight) for weight in layer.weights} == {layer.variable_dtype}
        output = ops.convert_to_numpy(ops.cast(output, "float32"))
    golden.assert_close(output, expected, TOLERANCES.get(policy, 1e-6))


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
    model = model_of(layer, 8)
    randomize(model)
    assert model.output_shape == model.input_shape
    for shape in ((2, 8, 5, 4), (1, 8, 9, 2)):
        images = np.random.default_rng(0).normal(size=shape).astype("float32")
        images = golden.as_format(images, data_format)
        outputs = ops.convert_to_numpy(layer(images))
        golden.assert_close(model.predict(images, verbose=0), outputs, 1e-5)


def test_saved_and_loaded(tmp_path):
    layer = NonLocal(1, 3, "channels_first", dtype="mixed_bfloat16", name="mine")
    copied = NonLocal.from_config(layer.get_config())
    assert copied.get_config() == layer.get_config()
    assert (copied.blocks, copied.pool_size, copied.data_format) == (1, 3, "channels_first")
    loaded = round_trip(ResNet(20, "nl", classes=5), tmp_path, (2, 17, 16, 3))
    assert loaded.get_layer("stage3_block2_attention").pool_size == 2


def assert_every_weight_learns(name, without_gradient):
    model = ResNet(20, name, classes=3, classifier_activation=None, input_shape=(16, 16, 3))
    randomize(model)
    rng = np.random.default_rng(0)
    images = rng.normal(size=(4, 16, 16, 3)).astype("float32")
    _, _, grads = gradients(model, images, rng.normal(size=(4, 3)).astype("float32"))
    for weight in model.trainable_variables:
        assert np.any(grads[id(weight)]) or short_name(weight) in without_gradient, weight.path


def test_every_weight_of_a_network_learns():
    assert_every_weight_learns("nl", WITHOUT_GRADIENT)


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


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_variables)


@pytest.mark.parametrize(
    ("depth", "numbers", "plain", "count"),
    [
        (20, (1, 1), 243_508, 409_076),
        (56, (2, 3), 614_452, 1_077_812),
        (110, (2, 3), 1_170_868, 1_634_228),
    ],
)
def test_parameters_of_cifar_networks(depth, numbers, plain, count):
    added = sum(n * parameters(c) for n, c in zip(numbers, (128, 256), strict=True))
    assert trainable(ResNet(depth, "nl")) == plain + added == count


@pytest.mark.parametrize(
    ("depth", "plain", "count"), [(50, 25_557_032, 32_915_496), (101, 44_549_160, 51_907_624)]
)
def test_parameters_of_imagenet_networks(depth, plain, count):
    added = 2 * parameters(512) + 3 * parameters(1024)
    assert trainable(ResNet(depth, "nl", stem="imagenet")) == plain + added == count


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
    sentence = r"^`pool_size` must be an integer of at least 1, but is 0\.$"
    with pytest.raises(ValueError, match=sentence):
        NonLocal(pool_size=0)
    layer = NonLocal(data_format="channels_last")
    sentence = (
        r"^`inputs` must be at least `pool_size` \(2\) high and wide, "
        r"but has shape \(None, 1, 4, 8\)\.$"
    )
    with pytest.raises(ValueError, match=sentence):
        layer.build((None, 1, 4, 8))
    with pytest.raises(ValueError, match="`inputs` must have a known number of channels on axis"):
        layer.build((None, 2, 2, None))
