"""RLA_g against the authors' network, and what a hidden map that crosses stages must bear."""

import math
from functools import partial

import keras
import numpy as np
import pytest
from keras import ops

from keras_dla.layers import RecurrentLayerAggregation
from keras_dla.models import ResNet, resnet
from tests import golden
from tests.backends import all_on_pytorch, on_pytorch
from tests.gradients import gradients
from tests.layers.stages import channels_first, from_channels_first, randomize
from tests.layers.test_formats_and_dtypes import name_of, wide_floats

FORMATS = ["channels_last", "channels_first"]
POLICIES = {"float64": 1e-5, "mixed_float16": 1e-2, "mixed_bfloat16": 6e-2}


def weights_by_official_name(model, stages=3, blocks=2):
    """The authors' name of every weight of a network: our variable, in the order of Keras."""
    parts = {"conv1": "stem_conv1", "bn1": "stem_bn1", "bn2": "head_bn", "fc": "classifier"}
    layers = {theirs: model.get_layer(ours) for theirs, ours in parts.items()}
    for stage in range(stages):
        interaction = model.get_layer(f"stage{stage + 1}_interaction")
        layers[f"conv_outs.{stage}"] = interaction.gather
        layers[f"recurrent_convs.{stage}"] = interaction.recur
        for block in range(blocks):
            layers[f"stage_bns.{stage}.{block}"] = interaction.norms[block]
            for number in (1, 2, 3):
                for part in ("conv", "bn"):
                    ours = f"stage{stage + 1}_block{block + 1}_{part}{number}"
                    layers[f"stages.{stage}.{block}.{part}{number}"] = model.get_layer(ours)
        for number, part in enumerate(("conv", "bn")):
            ours = f"stage{stage + 1}_block1_downsample_{part}"
            layers[f"stages.{stage}.0.downsample.{number}"] = model.get_layer(ours)
    suffixes = ("weight", "bias", "running_mean", "running_var")
    return {
        f"{name}.{suffix}": weight
        for name, layer in layers.items()
        for suffix, weight in zip(suffixes, layer.weights, strict=False)
    }


def to_keras(array):
    return array.transpose({4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}[array.ndim])


@pytest.mark.parametrize("data_format", all_on_pytorch(FORMATS, 1))
@pytest.mark.parametrize("formulation", ["official", "verbatim"])
def test_network_equals_the_authors(monkeypatch, formulation, data_format):
    """Three narrow stages of two blocks, the second and third strided, from stem to classifier."""
    monkeypatch.setitem(resnet.PLANES, "cifar", (6, 8, 12))
    arrays = golden.load("network_rla_g")
    suffix = "_verbatim" * (formulation == "verbatim")
    rla = RecurrentLayerAggregation(1, 8, formulation, data_format)
    options = {"data_format": data_format, "classifier_activation": None}
    model = ResNet(20, rla, classes=5, **options)
    weights, state = weights_by_official_name(model), golden.part(arrays, "state/")
    assert weights.keys() == state.keys()
    assert len(weights) == len(model.weights)
    for name, weight in weights.items():
        weight.assign(to_keras(state[name]))

    to_format = partial(golden.as_format, data_format=data_format)
    images = to_format(arrays["input"])
    golden.assert_close(model(images, training=False), arrays[f"logits_eval{suffix}"], 1e-5)
    logits, input_grad, weight_grads = gradients(model, images, arrays["cotangent"])
    golden.assert_close(logits, arrays[f"logits_train{suffix}"], 1e-5)
    golden.assert_close(input_grad, to_format(arrays[f"input_grad{suffix}"]), 2e-5)
    expected = golden.part(arrays, f"grad{suffix}/")
    assert len(expected) == len(model.trainable_variables)
    for name, grad in expected.items():
        golden.assert_close(weight_grads[id(weights[name])], to_keras(grad), 2e-5)


def layer_of(depth=2, data_format="channels_last", channels=6, seed=0, **kwargs):
    """A built layer with random weights and a hidden map of four channels."""
    layer = RecurrentLayerAggregation(depth, hidden_channels=4, data_format=data_format, **kwargs)
    shape = (None, None, None, channels)
    layer.build(shape if data_format == "channels_last" else (None, channels, None, None))
    return randomize(layer, seed)


def maps(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("size", [(6, 4), (5, 4), (5, 3), (2, 1), (1, 1)])
def test_where_the_stage_is_strided_h_is_averaged(data_format, size):
    layer = layer_of(data_format=data_format)
    hidden = maps(2, 4, *size)
    half = [-(-length // 2) for length in size]
    windows = [
        [hidden[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean((2, 3)) for j in range(half[1])]
        for i in range(half[0])
    ]
    pooled = np.moveaxis(np.array(windows), (0, 1), (2, 3))
    features = from_channels_first(maps(2, 6, *half, seed=2), data_format)
    _, expected = layer(features, from_channels_first(pooled, data_format), index=1)
    layer.norms[0].set_weights(layer.norms[1].get_weights())
    _, found = layer(features, from_channels_first(hidden, data_format), index=0)
    golden.assert_close(found, ops.convert_to_numpy(expected), 1e-6)


@pytest.mark.parametrize("data_format", FORMATS)
def test_where_the_stage_is_not_strided_h_is_kept(data_format):
    layer = layer_of(data_format=data_format)
    layer.norms[0].set_weights(layer.norms[1].get_weights())
    features = from_channels_first(maps(2, 6, 4, 3), data_format)
    hidden = from_channels_first(maps(2, 4, 4, 3), data_format)
    _, first = layer(features, hidden, index=0)
    _, second = layer(features, hidden, index=1)
    golden.assert_close(first, ops.convert_to_numpy(second), 1e-6)


@pytest.mark.parametrize("data_format", FORMATS)
def test_blocks_read_zeros_first_and_then_h(data_format):
    layer = layer_of(data_format=data_format)
    x, h = maps(2, 3, 5, 4), maps(2, 4, 5, 4, seed=2)
    for state, expected in ((None, 0 * h), (h, h)):
        state = None if state is None else from_channels_first(state, data_format)
        read = layer.block_input(from_channels_first(x, data_format), state, 0)
        joined = np.concatenate([x, expected], axis=1)
        np.testing.assert_array_equal(channels_first(read, data_format), joined)
    unknown = (None, None, 3) if data_format == "channels_last" else (3, None, None)
    read = layer.block_input(keras.Input(unknown), None, 0)
    assert sorted(read.shape, key=str) == [7, None, None, None]


def test_what_h_reads():
    """The branch in the paper, and in the authors' code as it runs the block's output."""
    features, shortcut = maps(2, 2, 5, 4, 6)
    output = np.maximum(features + shortcut, 0)
    official, paper, verbatim = (
        layer_of(formulation=name) for name in ("official", "paper", "verbatim")
    )
    _, expected = official(features)
    _, found = paper(features, shortcut=shortcut)
    golden.assert_close(found, ops.convert_to_numpy(expected), 1e-6)
    _, expected = official(output)
    _, found = verbatim(features, shortcut=shortcut)
    golden.assert_close(found, ops.convert_to_numpy(expected), 1e-6)
    with pytest.raises(ValueError, match="`formulation` must be one of 'official', 'paper'"):
        layer_of(formulation="mine")


@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("size", [(5, 8), (None, 8), (None, None)])
def test_specification_of_the_state(size, strides):
    layer = layer_of()
    before = [length and (length - 1) * strides + 1 for length in size]
    hidden = keras.Input((*before, 4))
    features = keras.Input((*size, 6))
    x, h = layer(features, hidden, index=0)
    assert (x.shape, h.shape) == ((None, *size, 6), (None, *size, 4))
    x, h = layer(x, h, index=1)
    assert h.shape == (None, *size, 4)
    output = keras.Model([features, hidden], h)
    real = [length or 6 for length in size]
    before = [(length - 1) * strides + 1 for length in real]
    result = output([maps(2, *real, 6), maps(2, *before, 4)])
    assert tuple(result.shape) == (2, *real, 4)


def network(depth=20, data_format="channels_last", seed=0, **kwargs):
    return randomize(ResNet(depth, "rla_g", classes=3, data_format=data_format, **kwargs), seed)


def test_images_of_any_size():
    model = network(11)
    for size in ((9, 7), (8, 8)):
        fixed = network(11, input_shape=(*size, 3), seed=None)
        fixed.set_weights(model.get_weights())
        images = maps(2, *size, 3)
        golden.assert_close(model(images), ops.convert_to_numpy(fixed(images)), 1e-5)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a graph of TensorFlow's")
@pytest.mark.parametrize(
    ("data_format", "jit_compile"), [("channels_last", False), ("channels_first", True)]
)
def test_a_graph_that_never_learns_the_size(data_format, jit_compile):
    """Nor may TensorFlow fuse convolution, BN and tanh, for which its CPU has no kernel."""
    import tensorflow as tf

    model = network(data_format=data_format)
    graph = tf.function(
        lambda images: model(images, training=False),
        input_signature=[tf.TensorSpec(model.input_shape)],
        jit_compile=jit_compile,
    )
    for size in ((9, 7), (8, 8)):
        images = from_channels_first(maps(2, 3, *size), data_format)
        golden.assert_close(graph(images), ops.convert_to_numpy(model(images)), 1e-5)


@pytest.mark.parametrize("include_top", all_on_pytorch([True, False], 1))
def test_saved_and_loaded(tmp_path, include_top):
    model = network(include_top=include_top)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    images = maps(2, 9, 7, 3)
    golden.assert_close(loaded(images), ops.convert_to_numpy(model(images)), 1e-5)
    assert loaded.count_params() == model.count_params()
    layer = loaded.get_layer("stage2_interaction")
    assert (len(layer._inbound_nodes), layer.hidden_channels) == (2, 32)


def test_pooled_features_hold_h_and_maps_do_not():
    assert ResNet(11, "rla_g", include_top=False).output.shape[-1] in (256, None)
    pooled = ResNet(11, "rla_g", include_top=False, pooling="avg")
    assert pooled.output.shape == (None, 256 + 32)
    assert pooled.get_layer("head_bn").gamma.shape == (32,)


@pytest.mark.parametrize("policy", POLICIES)
def test_dtype_policies(policy):
    features, shortcut = maps(2, 2, 5, 4, 6)
    hidden = maps(2, 9, 8, 4, seed=2)
    reference = layer_of()
    expected = reference(features, hidden, shortcut=shortcut)
    with wide_floats(policy):
        layer = layer_of(dtype=policy, seed=5)
        layer.set_weights([ops.convert_to_numpy(w).astype("float32") for w in reference.weights])
        found = layer(features, hidden, shortcut=shortcut)
        for tensor, wanted in zip(found, expected, strict=True):
            assert name_of(tensor) == keras.DTypePolicy(policy).compute_dtype
            tensor = ops.convert_to_numpy(ops.cast(tensor, "float32"))
            golden.assert_close(tensor, ops.convert_to_numpy(wanted), POLICIES[policy])
        kernel = layer.recur.kernel
        assert name_of(kernel) == keras.DTypePolicy(policy).variable_dtype


@pytest.mark.parametrize("policy", all_on_pytorch(["mixed_bfloat16", "mixed_float16"], 1))
def test_a_network_in_half_precision(policy):
    reference = network(11)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = network(11)
    finally:
        keras.config.set_dtype_policy(before)
    images = maps(2, 8, 8, 3)
    outputs = model(images)
    assert name_of(outputs) == "float32"
    golden.assert_close(outputs, ops.convert_to_numpy(reference(images)), POLICIES[policy])
    spec = model.get_layer("stage3_interaction")
    half = keras.DTypePolicy(policy).compute_dtype
    assert {tensor.dtype for tensor in spec.output} == {half}
    assert model.get_layer("head_bn").compute_dtype == half


@pytest.mark.parametrize(
    ("kwargs", "sentence"),
    [
        ({"hidden_channels": 0}, "`hidden_channels` must be an integer of at least 1, but is 0."),
        ({"depth": 0}, "`depth` must be an integer of at least 1, but is 0."),
    ],
)
def test_bad_arguments(kwargs, sentence):
    with pytest.raises(ValueError) as caught:
        RecurrentLayerAggregation(**{"depth": 1, **kwargs})
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("shape", "index", "end"),
    [
        ((2, 16, 8, 4), 0, " or twice that size, but has shape (2, 16, 8, 4)."),
        ((2, 16, 16, 4), 1, ", but has shape (2, 16, 16, 4)."),
    ],
)
def test_a_hidden_map_that_does_not_fit(shape, index, end):
    layer = layer_of()
    features = maps(2, 8, 8, 6)
    sentence = "`state` must be a map of 4 channels in the size of `features` (2, 8, 8, 6)" + end
    for state in (maps(*shape), keras.Input(batch_shape=shape)):
        with pytest.raises(ValueError) as caught:
            layer(features, state, index=index)
        assert sentence in str(caught.value)


# Of ResNet-50 and -101 with 1000 classes.
PLAIN = {50: 25_557_032, 101: 44_549_160}


def added(depths, planes, classes, hidden=32):
    """What RLA_g adds to a ResNet of `depths` blocks a stage, by hand."""
    inputs = sum(hidden * depth * width for depth, width in zip(depths, planes, strict=True))
    gathering = sum(hidden * 4 * width for width in planes)
    recurrence = len(planes) * 9 * hidden**2
    norms = 2 * hidden * (sum(depths) + 1)
    return inputs + gathering + recurrence + norms + hidden * classes


@on_pytorch
@pytest.mark.parametrize(("depth", "millions"), [(50, "25.9"), (101, "45.0")])
def test_parameters_of_imagenet_networks(depth, millions):
    depths = resnet.IMAGENET_DEPTHS[depth]
    model = ResNet(depth, "rla_g", stem="imagenet")
    count = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    assert count == PLAIN[depth] + added(depths, (64, 128, 256, 512), 1000)
    assert count == {50: 25_870_696, 101: 45_003_176}[depth]
    assert f"{count / 1e6:.1f}" == millions


@on_pytorch
@pytest.mark.parametrize(("depth", "plain"), [(20, 243_508), (56, 614_452), (110, 1_170_868)])
def test_parameters_of_cifar_networks(depth, plain):
    model = ResNet(depth, "rla_g", classes=100)
    count = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    assert count == plain + added(((depth - 2) // 9,) * 3, (16, 32, 64), 100)
