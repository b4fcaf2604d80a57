import keras
import numpy as np
import pytest

from keras_dla.analysis import AttentionScores, attention_scores, feature_scales
from keras_dla.analysis.attention_scores import reading_of_stage
from keras_dla.layers import LayerwiseInformationIntegration, MRLALight
from keras_dla.models import ResNet
from tests.analysis.models import (
    DEPTH,
    OwnModel,
    features_of_layers,
    in_format,
    random_images,
    stage_model,
)
from tests.backends import on_pytorch
from tests.layers.stages import interaction, randomize
from tests.layers.test_paper_formulation import (
    HEAD,
    Weights,
    along_channels,
    by_head,
    depthwise,
    gap,
    scaled,
    sigmoid,
    softmax,
    to_channels,
)

NAMES = ("mrla_b", "mrla_l", "dla_b", "dla_l")


def scores_of_stage(layers):
    """What `attention_scores` returns of one stage."""
    stage = reading_of_stage(layers)
    return stage["parts"] if stage["is_base"].all() else stage["parts"] * stage["scales"]


def column(*numbers):
    return np.array(numbers, "float32")


def test_base_by_hand():
    """Two layers, one image, two heads."""
    layers = [
        {"scores": np.array([[[1.0, 1.0]]])},
        {"scores": np.array([[[0.3, 0.6], [0.7, 0.4]]]), "scales": np.array([[[5.0] * 4]])},
    ]
    expected = [[[[1, 0], [0.3, 0.7]], [[1, 0], [0.6, 0.4]]]]
    np.testing.assert_allclose(scores_of_stage(layers), expected)


def test_scales_multiply_up_by_hand():
    """Three layers of one head with two channels: the first layer's values are scaled twice."""
    layers = [
        {"scores": np.ones((1, 1, 1))},
        {"scores": np.array([[[0.4], [0.6]]]), "scales": np.array([[[0.5, 0.1]]])},
        {"scores": np.array([[[0.2], [0.3], [0.5]]]), "scales": np.array([[[0.5, 0.3], [1, 0]]])},
    ]
    stage = reading_of_stage(layers)
    once, twice = (0.5 + 0.1) / 2, (0.5 * 0.5 + 0.1 * 0.3) / 2
    expected = [[1, 1, 1], [once, 1, 1], [twice, 0.5, 1]]
    np.testing.assert_allclose(stage["scales"] * np.tri(3), [[expected * np.tri(3)]])


def test_light_by_hand():
    """Two layers, one image, two heads of two channels."""
    layers = [
        {"gate": np.array([[0.5, 0.2]]), "decay": column(9, 9, 9, 9)},
        {"gate": np.array([[0.8, 0.9]]), "decay": column(1, 3, -1, -2)},
    ]
    # Means over the channels of a head: (1 + 3) / 2 and (-1 - 2) / 2.
    expected = [[[[0.5, 0], [0.5 * 2, 0.8]], [[0.2, 0], [0.2 * -1.5, 0.9]]]]
    np.testing.assert_allclose(scores_of_stage(layers), expected)


def test_dynamic_light_by_hand():
    """Three layers, one image, one head of two channels: products come before the mean."""
    layers = [
        {"gate": np.array([[0.5]]), "decay": column(7, 7), "scales": np.array([[7.0, 7.0]])},
        {"gate": np.array([[0.4]]), "decay": column(1, 2), "scales": np.array([[0.5, 1.0]])},
        {"gate": np.array([[0.3]]), "decay": column(4, 1), "scales": np.array([[1.0, -1.0]])},
    ]
    second = (1 * 0.5 + 2 * 1) / 2
    third = (1 * 0.5 * 4 * 1 + 2 * 1 * 1 * -1) / 2
    last = (4 * 1 + 1 * -1) / 2
    expected = [[0.5, 0, 0], [0.5 * second, 0.4, 0], [0.5 * third, 0.4 * last, 0.3]]
    np.testing.assert_allclose(scores_of_stage(layers), [[expected]], atol=1e-7)


def base_scores(weights, features, dynamic):
    """The softmax of Eq. 2 at every layer, with the paper's formulas: [batch, heads, l, l]."""
    depth = len(features)
    scores = np.zeros((len(features[0]), features[0].shape[1] // HEAD, depth, depth))
    seen, c = [], None
    for index, x in enumerate(features):
        if dynamic:
            start = np.tile(weights.c0, (len(x), 1)) if c is None else c
            c = weights.dyn(gap(x), start)
            seen = [scaled(old, weights.dyn(gap(old), c)) for old in seen]
        seen = [*seen, x]
        q = along_channels(gap(x), weights.q[index])
        keys = [along_channels(gap(old), weights.k[m]) for m, old in enumerate(seen)]
        row = softmax(np.stack([by_head(q, key) for key in keys]))
        scores[:, :, index, : index + 1] = np.moveaxis(row, 0, -1)
    return scores


def light_scores(weights, features, dynamic):
    """Eq. 3 with every layer's part of the sum kept apart."""
    depth, channels = len(features), features[0].shape[1]
    scores = np.zeros((len(features[0]), channels // HEAD, depth, depth))
    gates, left = [], []
    o, c = np.zeros_like(features[0]), None
    for index, x in enumerate(features):
        factor = np.tile(weights.decays[index], (len(x), 1))
        if dynamic:
            start = np.tile(weights.c0, (len(x), 1)) if c is None else c
            c = weights.dyn(gap(x), start)
            d = weights.dyn(gap(o), c)
            o, factor = scaled(o, d), factor * d
        q, k = (along_channels(gap(x), kernels[index]) for kernels in (weights.q, weights.k))
        gates.append(sigmoid(by_head(q, k)))
        o = o * weights.decays[index].reshape(1, -1, 1, 1)
        o = o + scaled(depthwise(x, weights.v[index]), to_channels(gates[index]))
        left = [part * factor for part in left] + [np.ones_like(factor)]
        for m, part in enumerate(left):
            mean = part.reshape(len(x), -1, HEAD).mean(-1)
            scores[:, :, index, m] = gates[m] * mean
    return scores


def test_weights_are_scores_times_scales():
    layer = interaction("dla_b", DEPTH, formulation="paper")
    model, maps = stage_model(layer), in_format(random_images(), layer)
    scores, scales = attention_scores(model, maps), feature_scales(model, maps)
    (name,) = scores.refreshed
    left = np.cumprod(scales[name], axis=1)
    by_head = left.reshape(*left.shape[:3], -1, HEAD).mean(-1)
    np.testing.assert_allclose(
        scores.weights[name], scores[name] * np.moveaxis(by_head, -1, 1), rtol=1e-5
    )


@on_pytorch
@pytest.mark.parametrize("name", ["mrla_b", "mrla_l", "dla_l"])
def test_scores_are_weights_where_nothing_scales_besides(name):
    layer = interaction(name, DEPTH)
    scores = attention_scores(stage_model(layer), in_format(random_images(), layer))
    assert scores.refreshed == frozenset()


@on_pytorch
@pytest.mark.parametrize(
    ("name", "formulation", "shortcut", "approximate"),
    [
        ("mrla_l", "official", True, True),
        ("mrla_l", "official", False, False),
        ("mrla_l", "paper", True, False),
        ("dla_l", "official", True, True),
        ("dla_l", "official", False, True),  # of the convolution of the memory
        ("dla_l", "paper", True, False),
        ("dla_b", "official", True, False),
    ],
)
def test_the_light_form_says_where_it_is_an_approximation(name, formulation, shortcut, approximate):
    layer = interaction(name, DEPTH, formulation=formulation)
    model = stage_model(layer, shortcut=shortcut)
    scores = attention_scores(model, in_format(random_images(), layer))
    assert bool(scores.approximate) == approximate


def test_batches_are_joined():
    layer = interaction("dla_b", DEPTH)
    model, maps = stage_model(layer), in_format(random_images(), layer)
    whole = attention_scores(model, maps)
    joined = AttentionScores.joined([attention_scores(model, x) for x in (maps[:2], maps[2:])])
    (name,) = whole
    np.testing.assert_allclose(joined[name], whole[name], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(joined.weights[name], whole.weights[name], rtol=1e-5, atol=1e-6)
    assert joined.approximate == whole.approximate


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("name", NAMES)
def test_equals_the_equations(name, data_format):
    """On any backend: the truth is computed in NumPy."""
    layer = interaction(name, DEPTH, data_format, formulation="paper")
    transcription = base_scores if name.endswith("b") else light_scores
    maps = random_images()
    expected = transcription(Weights(layer), features_of_layers(maps), name.startswith("dla"))
    (scores,) = attention_scores(stage_model(layer), in_format(maps, layer)).values()
    assert scores.shape == (5, 2, DEPTH, DEPTH)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)


@on_pytorch
@pytest.mark.parametrize("name", ["mrla_l", "dla_l"])
def test_the_unrolled_scores_weigh_the_values(name):
    """With a head for every channel nothing is averaged: their sum is the recurrence's output."""
    layer = interaction(name, DEPTH, formulation="paper", head_size=1)
    model, maps = stage_model(layer), random_images()
    _, state = model(in_format(maps, layer))
    (scores,) = attention_scores(model, in_format(maps, layer)).values()
    values = [
        depthwise(x, kernel)
        for x, kernel in zip(features_of_layers(maps), Weights(layer).v, strict=True)
    ]
    expected = sum(scaled(value, scores[:, :, -1, m]) for m, value in enumerate(values))
    output = state.get("memory", state)["output"]
    output = keras.ops.convert_to_numpy(output).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(output, expected, rtol=1e-3, atol=1e-5)


@on_pytorch
@pytest.mark.parametrize("name", NAMES)
def test_a_named_network(name):
    model = ResNet(20, name, classes=3, data_format="channels_last")
    scores = attention_scores(model, np.random.default_rng(0).normal(size=(2, 16, 16, 3)))
    assert {stage: array.shape for stage, array in scores.items()} == {
        "stage1_interaction": (2, 2, 2, 2),
        "stage2_interaction": (2, 4, 2, 2),
        "stage3_interaction": (2, 8, 2, 2),
    }
    for array in scores.values():
        assert not array[..., 0, 1].any()
        assert array[..., 1, 0].all()
        if name.endswith("b"):
            np.testing.assert_allclose(array.sum(-1), 1, rtol=1e-6)


def equal(actual, expected, names=None):
    assert list(actual) == list(names or expected)
    for name, array in zip(actual, expected.values(), strict=True):
        np.testing.assert_allclose(actual[name], array, rtol=1e-5, atol=1e-6)


@on_pytorch
@pytest.mark.parametrize("name", ["dla_b", "dla_l"])
def test_a_loaded_model_has_the_same(name, tmp_path):
    layer = interaction(name, DEPTH)
    model = stage_model(layer, shortcut=True)
    images = in_format(random_images(), layer)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    equal(attention_scores(loaded, images), attention_scores(model, images))


@on_pytorch
@pytest.mark.parametrize("name", ["mrla_b", "dla_l"])
def test_batches_make_no_difference(name):
    layer = interaction(name, DEPTH)
    model, images = stage_model(layer), in_format(random_images(), layer)
    equal(attention_scores(model, images, batch_size=2), attention_scores(model, images))


def test_tensors_are_taken_as_well():
    layer = interaction("mrla_b", DEPTH)
    model, images = stage_model(layer), in_format(random_images(), layer)
    equal(
        attention_scores(model, keras.ops.convert_to_tensor(images)),
        attention_scores(model, images),
    )


@pytest.mark.parametrize("name", ["mrla_l", "dla_b"])
def test_a_subclassed_model(name):
    """Not yet built, so that Keras traces it first."""
    layer = interaction(name, DEPTH)
    images = in_format(random_images(), layer)
    expected = attention_scores(stage_model(layer), images)
    fresh = type(layer).from_config({**layer.get_config(), "name": "conversation"})
    model = OwnModel(fresh)
    attention_scores(model, images[:1])
    for weight, value in zip(fresh.weights, layer.weights, strict=True):
        weight.assign(value)
    equal(attention_scores(model, images), expected, names=["conversation"])


class Twins(keras.Model):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, images):
        return self.inner(images)[0] + self.inner(2 * images)[0]


def test_a_model_inside_a_model_called_twice():
    layer = interaction("dla_l", DEPTH)
    inner, images = stage_model(layer), in_format(random_images(), layer)
    first, second = attention_scores(inner, images), attention_scores(inner, 2 * images)
    expected = {layer.name: first[layer.name], f"{layer.name}_2": second[layer.name]}
    equal(attention_scores(Twins(inner), images), expected)


class InTurns(OwnModel):
    def call(self, images):
        one, two = self.layer(images, index=0), self.layer(2 * images, index=0)
        one, two = self.layer(*one, index=1), self.layer(*two, index=1)
        return one[0] + two[0]


def test_one_layer_for_two_stages_in_turns_is_refused():
    layer = interaction("mrla_b", DEPTH)
    with pytest.raises(ValueError, match="must not alternate between two stages"):
        attention_scores(InTurns(layer), in_format(random_images(), layer))


@on_pytorch
def test_a_stage_of_one_layer():
    layer = randomize(MRLALight(1, data_format="channels_last", name="only"))
    images = keras.Input((4, 4, 32))
    model = keras.Model(images, layer(images, index=0)[0])
    scores = attention_scores(model, np.ones((2, 4, 4, 32)))
    assert scores["only"].shape == (2, 1, 1, 1)


def test_mixed_precision_gives_float32():
    layer = interaction("dla_b", DEPTH, dtype="mixed_bfloat16")
    model = stage_model(layer)
    (scores,) = attention_scores(model, in_format(random_images(), layer)).values()
    assert scores.dtype == "float32"


def test_nobody_observes_afterwards():
    layer = interaction("mrla_b", DEPTH)
    model, images = stage_model(layer), in_format(random_images(), layer)
    outputs = keras.ops.convert_to_numpy(model(images)[0])
    attention_scores(model, images)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(model(images)[0]), outputs)


def plain_model(data_format="channels_last"):
    images = keras.Input((8, 8, 32))
    layer = LayerwiseInformationIntegration(1, data_format=data_format)
    return keras.Model(images, layer(images, index=0)[0], name="plain")


@on_pytorch
@pytest.mark.parametrize(
    ("model", "images", "batch_size", "sentence"),
    [
        (plain_model, (2, 8, 8, 32), 32, "must contain layer attention .*'plain' called none"),
        (plain_model, (8, 8, 32), 32, r"with 4 axes, but has shape \(8, 8, 32\)"),
        (plain_model, (0, 8, 8, 32), 32, r"at least one image.* has shape \(0, 8, 8, 32\)"),
        (plain_model, (2, 8, 8, 32), 0, "`batch_size` must be an integer of at least 1, but is 0"),
        (lambda: print, (2, 8, 8, 32), 32, "`model` must be a Keras model, but is builtin"),
    ],
)
def test_bad_input_is_one_sentence(model, images, batch_size, sentence):
    with pytest.raises(ValueError, match=sentence) as error:
        attention_scores(model(), np.zeros(images, "float32"), batch_size)
    assert "\n" not in str(error.value)
