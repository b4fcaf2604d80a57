import keras
import numpy as np
import pytest
from keras import ops

from keras_dla.layers import BatchNormalization, SqueezeExcitation
from keras_dla.layers.registry import interaction_names
from keras_dla.models import ResNet
from keras_dla.models.resnet import stage_depths
from tests.backends import all_on_pytorch, on_pytorch
from tests.golden import as_format

FORMATS = ["channels_last", "channels_first"]


def shape_of(tensor, data_format):
    """Returns (height, width, channels)."""
    _, *shape = tensor.shape
    return tuple(shape) if data_format == "channels_last" else (*shape[1:], shape[0])


@pytest.mark.parametrize("data_format", all_on_pytorch(FORMATS, 1))
def test_feature_levels_of_an_imagenet_network(data_format):
    shape = (64, 96, 3) if data_format == "channels_last" else (3, 64, 96)
    model = ResNet(
        50,
        "dla_l",
        stem="imagenet",
        include_top=False,
        input_shape=shape,
        data_format=data_format,
    )
    expected = {
        "P2": (16, 24, 256),
        "P3": (8, 12, 512),
        "P4": (4, 6, 1024),
        "P5": (2, 3, 2048),
    }
    shapes = {name: shape_of(map_, data_format) for name, map_ in model.pyramid_outputs.items()}
    assert shapes == expected
    assert set(model.pyramid_level_inputs) == set(expected)
    for level, layer in model.pyramid_level_inputs.items():
        assert layer == f"stage{int(level[1]) - 1}_output"
    assert model.output is model.pyramid_outputs["P5"]


@on_pytorch
@pytest.mark.parametrize("interaction", ["se", "nl", "rla_g", "dla_l"])
def test_feature_levels_by_layer_name_are_the_levels(interaction):
    """KerasCV reads `model.get_layer(name).output`, which needs a layer called once."""
    model = ResNet(50, interaction, stem="imagenet", include_top=False, input_shape=(64, 64, 3))
    for level, name in model.pyramid_level_inputs.items():
        assert model.get_layer(name).output is model.pyramid_outputs[level]


def test_feature_levels_of_a_cifar_network():
    model = ResNet(11, "mrla_b", include_top=False, data_format="channels_last")
    channels = {name: map_.shape[-1] for name, map_ in model.pyramid_outputs.items()}
    assert channels == {"P0": 64, "P1": 128, "P2": 256}
    assert not hasattr(ResNet(11), "pyramid_outputs")
    pyramid = keras.Model(model.input, model.pyramid_outputs)
    maps = pyramid(np.ones((1, 9, 8, 3), "float32"))
    sizes = {name: tuple(map_.shape[1:3]) for name, map_ in maps.items()}
    assert sizes == {"P0": (9, 8), "P1": (5, 4), "P2": (3, 2)}


@pytest.mark.parametrize("data_format", all_on_pytorch(FORMATS, 1))
def test_pooling(data_format):
    images = as_format(np.random.default_rng(0).normal(size=(2, 3, 8, 8)), data_format)
    models = {
        pooling: ResNet(11, include_top=False, pooling=pooling, data_format=data_format)
        for pooling in (None, "avg", "max")
    }
    for model in models.values():
        model.set_weights(models[None].get_weights())
    maps, means, maxima = (
        ops.convert_to_numpy(models[pooling](images.astype("float32")))
        for pooling in (None, "avg", "max")
    )
    axes = (1, 2) if data_format == "channels_last" else (2, 3)
    np.testing.assert_allclose(means, maps.mean(axes), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(maxima, maps.max(axes), rtol=1e-6)


def test_probabilities_or_logits():
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    probabilities = ResNet(11, classes=7, data_format="channels_last")
    logits = ResNet(11, classes=7, classifier_activation=None, data_format="channels_last")
    logits.set_weights(probabilities.get_weights())
    logits = ops.convert_to_numpy(logits(images))
    probabilities = ops.convert_to_numpy(probabilities(images))
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    np.testing.assert_allclose(probabilities, powers / powers.sum(-1, keepdims=True), rtol=1e-4)
    assert logits.shape == (2, 7)


def test_data_formats_agree():
    images = np.random.default_rng(0).normal(size=(2, 3, 9, 7)).astype("float32")
    # Both blocks of the second stage read the first one's strides.
    last, first = (
        ResNet((1, 2), "dla_b", planes=(8, 16), classes=5, data_format=data_format)
        for data_format in FORMATS
    )
    first.set_weights(last.get_weights())
    expected = ops.convert_to_numpy(last(images.transpose(0, 2, 3, 1)))
    np.testing.assert_allclose(ops.convert_to_numpy(first(images)), expected, rtol=1e-4)


@pytest.mark.parametrize("policy", all_on_pytorch(["mixed_float16", "mixed_bfloat16"], 1))
def test_mixed_precision_ends_in_float32(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = ResNet(11, "dla_l", classes=5, data_format="channels_last")
    finally:
        keras.config.set_dtype_policy(before)
    output = model(np.ones((2, 8, 8, 3), "float32"))
    assert keras.backend.standardize_dtype(output.dtype) == "float32"
    np.testing.assert_allclose(ops.convert_to_numpy(output).sum(-1), [1, 1], rtol=1e-5)
    assert model.get_layer("stage1_interaction").compute_dtype == policy.removeprefix("mixed_")
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}


@on_pytorch
def test_an_imagenet_network_runs():
    model = ResNet(50, "dla_b", classes=7, stem="imagenet", data_format="channels_last")
    output = ops.convert_to_numpy(model(np.ones((1, 64, 64, 3), "float32")))
    assert output.shape == (1, 7)
    assert np.isfinite(output).all()


def test_stages_of_your_own():
    model = ResNet(
        (1, 3),
        "dla_l",
        stem="imagenet",
        planes=(8, 16),
        include_top=False,
        input_shape=(32, 32, 3),
        data_format="channels_last",
    )
    assert model.name == "resnet_1_3"
    assert {level: tuple(x.shape) for level, x in model.pyramid_outputs.items()} == {
        "P2": (None, 8, 8, 32),
        "P3": (None, 4, 4, 64),
    }
    assert model.get_layer("stage2_interaction").depth == 3


def test_weights_from_a_file(tmp_path):
    model = ResNet(11, "eca", classes=5)
    path = tmp_path / "model.weights.h5"
    model.save_weights(path)
    loaded = ResNet(11, "eca", classes=5, weights=path)
    for mine, theirs in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def deviation(weights):
    values = np.concatenate([ops.convert_to_numpy(w).ravel() for w in weights])
    assert abs(values.mean()) < 4 * values.std() / np.sqrt(values.size)
    return values.std()


def test_initial_distributions():
    """Fact 11: the authors' deviations, whatever Keras's defaults are."""
    model = ResNet(29, "dla_l", classes=1000)
    close = {"rel": 0.08}
    kernel = model.get_layer("stage3_block2_conv2").kernel
    assert deviation([kernel]) == pytest.approx(np.sqrt(2 / (9 * 64)), **close)
    # Untruncated: a truncated normal ends at two deviations.
    assert np.abs(ops.convert_to_numpy(kernel)).max() > 3 * np.sqrt(2 / (9 * 64))
    kernel = model.get_layer("stage3_block2_conv3").kernel
    assert deviation([kernel]) == pytest.approx(np.sqrt(2 / 256), **close)

    layer = model.get_layer("stage3_interaction")
    depthwise = [f.kernel for f in (*layer.attention.values, layer.attention.excite)]
    assert deviation(depthwise) == pytest.approx(np.sqrt(2 / (9 * 256)), **close)
    assert deviation(layer.attention.decays) == pytest.approx(1, **close)

    # U(-1/sqrt(n), 1/sqrt(n)) has the deviation 1/sqrt(3n).
    def uniform(n, *weights):
        values = np.concatenate([ops.convert_to_numpy(w).ravel() for w in weights])
        assert np.abs(values).max() <= 1 / np.sqrt(n)
        assert values.std() == pytest.approx(1 / np.sqrt(3 * n), rel=0.12)

    classifier = model.get_layer("classifier")
    uniform(256, classifier.kernel)
    uniform(256, classifier.bias)
    for gates in (layer.unit.input_gates, layer.unit.hidden_gates):
        uniform(256, gates.reduce_kernel)
        uniform(64, gates.expand_kernel)
        uniform(64, gates.expand_bias)
    convolutions = [
        ops.convert_to_numpy(f.kernel) for f in (*layer.attention.queries, *layer.attention.keys)
    ]
    assert {kernel.shape for kernel in convolutions} == {(5,)}
    assert np.abs(convolutions).max() <= 1 / np.sqrt(5)
    assert np.abs(convolutions).max() > 0.7 / np.sqrt(5)
    assert np.std(convolutions) == pytest.approx(1 / np.sqrt(15), rel=0.5)


@pytest.mark.parametrize(
    ("stem", "depth", "last"), [("cifar", 11, 1), ("imagenet", (1, 1, 1, 1), 0)]
)
def test_initial_gamma(stem, depth, last):
    """Zero in the last BN of every ImageNet block, one everywhere else."""
    model = ResNet(depth, stem=stem, classes=5)
    norms = [layer for layer in model.layers if isinstance(layer, BatchNormalization)]
    assert norms
    for layer in norms:
        expected = last if layer.name.endswith("_bn3") else 1
        assert (ops.convert_to_numpy(layer.gamma) == expected).all()


BAD = [
    (
        {"depth": 21},
        "`depth` must be 9n + 2 (11, 20, 29, 56, 110, 164, ...) for `stem='cifar'`, but is 21.",
    ),
    ({"depth": 2}, "for `stem='cifar'`, but is 2."),
    ({"depth": "20"}, "for `stem='cifar'`, but is '20'."),
    (
        {"depth": 56, "stem": "imagenet"},
        "`depth` must be one of 50, 101, 152, but is 56.",
    ),
    ({"stem": "mnist"}, "`stem` must be one of 'cifar', 'imagenet', but is 'mnist'."),
    (
        {"interaction": "dla"},
        f"`interaction` must be None, one of {', '.join(map(repr, interaction_names()))}, or a "
        "layer, but is 'dla'.",
    ),
    (
        {"interaction": 3},
        "or a layer, but is 3.",
    ),
    (
        {"interaction": "dla_l", "unit": "gru"},
        "`unit` must be one of 'dsu', 'dsu_tanh', 'dsu_relu', "
        "'dsu_identity', 'dia', 'lstm', 'rnn', a Keras RNN cell, or a function of the "
        "number of channels that returns one, but is 'gru'.",
    ),
    (
        {"interaction": "se", "unit": "dia"},
        "`unit` must not be given for 'se', which would not use it (it uses `reduction`), "
        "but is 'dia'.",
    ),
    (
        {"unit": "dia"},
        "`unit` must not be given for the plain ResNet, which would not use it (it uses none of "
        "its kind), but is 'dia'.",
    ),
    (
        {"interaction": "eca", "formulation": "paper"},
        "`formulation` must not be given for 'eca', which would not use it (it uses none of its "
        "kind), but is 'paper'.",
    ),
    (
        {"interaction": "dianet", "drop_path": 0.0},
        "`drop_path` must not be given for 'dianet', which would not use it (it uses "
        "`formulation`, `unit`, `reduction`), but is 0.0.",
    ),
    (
        {"interaction": "mrla_l", "reduction": 4},
        "`reduction` must not be given for 'mrla_l', which would not use it (it uses "
        "`formulation`, `drop_path`), but is 4.",
    ),
    (
        {"interaction": SqueezeExcitation(), "reduction": 8},
        "`reduction` must not be given for a layer with settings of its own, which would not use "
        "it (it uses none of its kind), but is 8.",
    ),
    (
        {"formulation": "exact"},
        "`formulation` must be one of 'official', 'paper', 'verbatim', but is 'exact'.",
    ),
    ({"classes": 0}, "`classes` must be an integer of at least 1, but is 0."),
    ({"reduction": 0}, "`reduction` must be an integer of at least 1, but is 0."),
    (
        {"interaction": "dla_l", "reduction": 65},
        "`reduction` must be at most the number of channels (64), but is 65.",
    ),
    ({"drop_path": 1}, "`drop_path` must be at least 0 and less than 1, but is 1."),
    ({"pooling": "mean"}, "`pooling` must be one of None, 'avg', 'max', but is 'mean'."),
    (
        {"data_format": "NCHW"},
        "`data_format` must be one of 'channels_last', 'channels_first', but is 'NCHW'.",
    ),
    (
        {"input_shape": (32, 32), "data_format": "channels_last"},
        "`input_shape` must have three entries with a known number of channels in channels_last "
        "order, but is (32, 32).",
    ),
    (
        {"input_shape": (None, 32, 32), "data_format": "channels_first"},
        "in channels_first order, but is (None, 32, 32).",
    ),
    ({"depth": (1, 0, 1)}, "`depth` must be an integer of at least 1, but is 0."),
    ({"planes": ()}, "`planes` must have an entry for every stage, but is ()."),
    ({"planes": (8, 8)}, "`planes` must have an entry for each of the 3 stages, but is (8, 8)."),
    (
        {"interaction": "dla_l", "unit": keras.layers.GRUCell(64)},
        "`unit` must be an RNN cell with as many outputs as the features have channels (128)",
    ),
]


@pytest.mark.parametrize(("arguments", "sentence"), BAD)
def test_bad_arguments(arguments, sentence):
    with pytest.raises(ValueError) as caught:
        ResNet(**{"depth": 11, **arguments})
    assert sentence in str(caught.value).splitlines()[0]


@pytest.mark.parametrize(("depth", "stem"), [(11, "cifar"), (50, "imagenet")])
def test_integers_of_numpy_are_integers(depth, stem):
    assert stage_depths(np.int64(depth), stem) == stage_depths(depth, stem)
