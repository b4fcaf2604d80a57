import keras
import numpy as np
import pytest
from keras import ops

from keras_dla.layers import GlobalContext
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


def ours(array, variable):
    """A weight of the authors', a 1x1 convolution's in PyTorch's order of axes, in Keras's."""
    return array.reshape(len(array), -1).T.reshape(variable.shape)


def model_of(layer, channels):
    last = layer.data_format == "channels_last"
    images = keras.Input((None, None, channels) if last else (channels, None, None))
    return keras.Model(images, layer(images))


def maps(channels=32, seed=0):
    return np.random.default_rng(seed).normal(size=(2, 5, 4, channels)).astype("float32")


@pytest.mark.parametrize("data_format", FORMATS)
def test_equals_the_authors_code(data_format):
    arrays = golden.load("block_gc")
    layer = GlobalContext(reduction=4, data_format=data_format)
    model = model_of(layer, 32)
    by_name = {variable.name: variable for variable in layer.trainable_variables}
    variables = {theirs: by_name[name] for theirs, name in WEIGHTS.items()}
    for name, variable in variables.items():
        variable.assign(ours(arrays[f"state/{name}"], variable))
    images, cotangent = (
        golden.as_format(arrays[name], data_format) for name in ("input", "cotangent")
    )

    output, input_grad, weight_grads = gradients(model, images, cotangent)
    golden.assert_close(channels_first(output, data_format), arrays["output"], 1e-5)
    golden.assert_close(channels_first(input_grad, data_format), arrays["input_grad"], 1e-5)
    # The softmax does not change where all scores do: a gradient of zero.
    assert abs(weight_grads[id(variables.pop("conv_mask.bias"))][0]) < 1e-4
    for name, variable in variables.items():
        expected = ours(arrays[f"grad/{name}"], variable)
        golden.assert_close(weight_grads[id(variable)], expected, 1e-5)


def test_equation_of_the_paper():
    """Eq. 5 and the LayerNorm and ReLU of its Fig. 4(d), position by position."""
    x = maps()
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
    x = maps(channels=512)
    layer = GlobalContext(data_format="channels_last")
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x)), x)
    assert abs(np.std(ops.convert_to_numpy(layer.score_kernel)) * np.sqrt(512 / 2) - 1) < 0.2
    for weight in (layer.reduce_kernel, layer.reduce_bias):
        assert 0.8 < np.abs(ops.convert_to_numpy(weight)).max() * np.sqrt(512) <= 1
    assert layer.norm.epsilon == 1e-5


def test_large_scores_do_not_overflow():
    x = 100 * maps()
    layer = GlobalContext(reduction=4, data_format="channels_last")
    layer.build(x.shape)
    randomize(layer)
    layer.score_kernel.assign(np.full(32, 10.0))
    assert np.isfinite(ops.convert_to_numpy(layer(x))).all()


@pytest.mark.parametrize("policy", [*TOLERANCES, "float32"])
def test_dtype_policies(policy):
    x = maps()
    reference = GlobalContext(reduction=4, data_format="channels_last")
    reference.build(x.shape)
    expected = ops.convert_to_numpy(randomize(reference)(x))
    with wide_floats(policy):
        layer = GlobalContext(reduction=4, data_format="channels_last", dtype=policy)
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
        layer = GlobalContext(reduction=4, data_format="channels_last", dtype=dtype)
        images = keras.Input((None, None, 32))
        outputs = keras.layers.Activation("linear", dtype="float32")(layer(images))
        model = keras.Model(images, outputs)
        randomize(model)
        _, input_grad, grads = gradients(model, x, cotangent)
        weights = [w for w in model.trainable_variables if w.name != "score_bias"]
        found[dtype] = [input_grad, *(grads[id(w)] for w in weights)]
    for grad, expected in zip(found[policy], found["float32"], strict=True):
        # The gradient of the scores is a small difference of rounded numbers.
        assert np.linalg.norm(grad - expected) < 0.15 * np.linalg.norm(expected)


@pytest.mark.parametrize("data_format", FORMATS)
def test_unknown_batch_and_image_size(data_format):
    layer = GlobalContext(reduction=4, data_format=data_format)
    model = model_of(layer, 32)
    randomize(model)
    assert model.output_shape == model.input_shape
    for shape in ((2, 32, 5, 4), (1, 32, 9, 1)):
        images = np.random.default_rng(0).normal(size=shape).astype("float32")
        images = golden.as_format(images, data_format)
        outputs = ops.convert_to_numpy(layer(images))
        golden.assert_close(model.predict(images, verbose=0), outputs, 1e-6)


def test_saved_and_loaded(tmp_path):
    layer = GlobalContext(4, 2, "channels_first", dtype="mixed_bfloat16", name="mine")
    copied = GlobalContext.from_config(layer.get_config())
    assert copied.get_config() == layer.get_config()
    assert (copied.reduction, copied.last_stages, copied.data_format) == (4, 2, "channels_first")
    loaded = round_trip(ResNet(20, "gc", classes=5), tmp_path, (2, 9, 8, 3))
    assert loaded.get_layer("stage3_block2_attention").reduction == 16


def test_every_weight_of_a_network_learns():
    model = ResNet(20, "gc", classes=3, classifier_activation=None, input_shape=(8, 8, 3))
    randomize(model)
    rng = np.random.default_rng(0)
    images = rng.normal(size=(4, 8, 8, 3)).astype("float32")
    _, _, grads = gradients(model, images, rng.normal(size=(4, 3)).astype("float32"))
    for weight in model.trainable_variables:
        # The bias of the scores cancels in the softmax.
        assert np.any(grads[id(weight)]) or weight.name == "score_bias", weight.path


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


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_variables)


@pytest.mark.parametrize(
    ("depth", "plain", "count"),
    [(20, 243_508, 266_978), (56, 614_452, 684_862), (110, 1_170_868, 1_311_688)],
)
def test_parameters_of_cifar_networks(depth, plain, count):
    added = (depth - 2) // 9 * sum(parameters(channels) for channels in (64, 128, 256))
    assert trainable(ResNet(depth, "gc")) == plain + added == count


@pytest.mark.parametrize(
    ("depth", "blocks", "plain", "count"),
    [
        (50, (4, 6, 3), 25_557_032, 28_078_773),
        (101, (4, 23, 3), 44_549_160, 49_337_222),
    ],
)
def test_parameters_of_imagenet_networks(depth, blocks, plain, count):
    channels = (512, 1024, 2048)
    added = sum(n * parameters(c) for n, c in zip(blocks, channels, strict=True))
    assert trainable(ResNet(depth, "gc", stem="imagenet")) == plain + added == count


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
        sentence = rf"^`{name}` must be an integer of at least 1, but is 0\.$"
        with pytest.raises(ValueError, match=sentence):
            GlobalContext(**{name: 0})
    layer = GlobalContext(data_format="channels_last")
    sentence = r"`reduction` must be at most the number of channels \(8\), but is 16\."
    with pytest.raises(ValueError, match=sentence):
        layer.build((None, 2, 2, 8))
    with pytest.raises(ValueError, match="`inputs` must have a known number of channels on axis"):
        layer.build((None, 2, 2, None))
