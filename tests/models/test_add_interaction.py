"""Layer interaction in networks of others, which compute what they did before."""

import keras
import numpy as np
import pytest

import keras_dla
from keras_dla.analysis import attention_scores
from keras_dla.layers import MRLALight
from keras_dla.models import add_interaction
from tests.backends import all_on_pytorch, on_pytorch
from tests.layers.stages import randomize

SIZE = (64, 64, 3)
APPLICATIONS = keras.applications


def images(batch=2, size=SIZE):
    return np.random.default_rng(0).normal(size=(batch, *size)).astype("float32")


def hub_backbone():
    keras_hub = pytest.importorskip("keras_hub")
    return keras_hub.models.ResNetBackbone(
        [64], [7], [64, 32], [2, 3], [1, 2], "bottleneck_block",
        image_shape=(None, None, 3), data_format="channels_last",
    )  # fmt: skip


def small_residual():
    x = inputs = keras.Input(SIZE)
    for filters in (24, 24, 48):
        x = keras.layers.Conv2D(filters, 3, 2, padding="same")(x)
        for _ in range(2):
            x = x + keras.layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
    outputs = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, {"logits": outputs})


NETWORKS = {
    "small": (small_residual, 3),
    "hub": (hub_backbone, 2),
    "MobileNetV2": (lambda: APPLICATIONS.MobileNetV2(SIZE, weights=None, classes=4), 4),
    "ResNet50V2": (lambda: APPLICATIONS.ResNet50V2(input_shape=SIZE, weights=None, classes=4), 4),
    "ConvNeXtTiny": (lambda: APPLICATIONS.ConvNeXtTiny(input_shape=SIZE, weights=None), 4),
    "EfficientNetB0": (lambda: APPLICATIONS.EfficientNetB0(input_shape=SIZE, weights=None), 3),
}


CASES = [("small", "mrla_b"), *((name, "dla_l") for name in NETWORKS)]


def outputs_of(model, batch):
    outputs = keras.tree.flatten(model.predict(batch, verbose=0))
    return np.concatenate([output.reshape(len(batch), -1) for output in outputs], axis=1)


@pytest.mark.parametrize(("name", "interaction"), all_on_pytorch(CASES, 2))
def test_the_same_outputs_until_it_is_trained(name, interaction):
    build, runs = NETWORKS[name]
    plain = build()
    before = plain.get_weights()
    model = add_interaction(plain, interaction)
    added = [layer for layer in model.layers if layer.name.endswith("_interaction")]
    assert len(added) == runs
    expected = outputs_of(plain, images())
    scale = max(np.abs(expected).max(), 1e-3)
    assert np.abs(outputs_of(model, images()) - expected).max() < 1e-6 * max(scale, 1)
    for mine, theirs in zip(plain.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def beginning_of_mobile_net():
    """A network of keras.applications up to its first run: the rest would only be compiled."""
    whole = APPLICATIONS.MobileNetV2((32, 32, 3), alpha=0.35, weights=None, include_top=False)
    x = keras.layers.GlobalAveragePooling2D()(whole.get_layer("block_5_add").output)
    return keras.Model(whole.input, keras.layers.Dense(4, activation="softmax")(x))


def test_saved_loaded_fine_tuned_and_looked_into(tmp_path):
    model = add_interaction(beginning_of_mobile_net(), "dla_l")
    model.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy")
    batch = images(4, (32, 32, 3))
    layer = next(layer for layer in model.layers if layer.name.endswith("_interaction"))
    before = layer.get_weights()
    for _ in range(2):
        model.train_on_batch(batch, np.arange(4))
    changed = [(a != b).any() for a, b in zip(layer.get_weights(), before, strict=True)]
    assert sum(changed) > 2
    model.save(tmp_path / "model.keras")
    loaded = keras_dla.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        outputs_of(loaded, batch), outputs_of(model, batch), rtol=1e-5, atol=1e-6
    )
    scores = attention_scores(model, batch)
    assert len(scores) == 1


@on_pytorch
def test_named_layers_and_a_layer_of_ones_own():
    plain = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            *(keras.layers.Conv2D(20, 3, padding="same", name=f"conv{n}") for n in range(3)),
        ]
    )
    model = add_interaction(plain, MRLALight(1, data_format="channels_last"), ["conv1", "conv2"])
    layer = model.get_layer("conv1_interaction")
    assert (layer.depth, layer.head_size) == (2, 4)
    batch = images(2, (8, 8, 3))
    np.testing.assert_allclose(outputs_of(model, batch), outputs_of(plain, batch), atol=1e-6)


@on_pytorch
def test_shared_layers_stay_shared():
    inputs = keras.Input((8, 8, 4))
    convolution = keras.layers.Conv2D(4, 3, padding="same")
    x = inputs + convolution(inputs)
    plain = randomize(keras.Model(inputs, x + convolution(x)))
    model = add_interaction(plain, "dla_b")
    assert sum(type(layer) is keras.layers.Conv2D for layer in model.layers) == 1
    batch = images(2, (8, 8, 4))
    np.testing.assert_allclose(outputs_of(model, batch), outputs_of(plain, batch), atol=1e-6)
    with pytest.raises(ValueError, match="is called several times"):
        add_interaction(plain, "dla_b", [convolution.name, convolution.name])


@on_pytorch
def test_what_cannot_be_done_is_a_sentence():
    inputs = keras.Input((8, 8, 3))
    plain = keras.Model(inputs, keras.layers.Conv2D(4, 3, name="conv")(inputs), name="plain")
    outer = keras.Model(inputs, plain(inputs))
    for arguments, sentence in (
        ((plain, "dla_l"), "must have consecutive residual blocks of the same shape, but 'plain'"),
        ((outer, "dla_l"), "its blocks may be inside 'plain': give that model"),
        ((plain, "dla_l", ["conv"]), "`after` must name at least two consecutive layers"),
        ((plain, "dla_l", ["fly"]), "but 'fly' is not in the network"),
        ((plain, "se"), "`interaction` must be 'mrla_b', 'mrla_l', 'dla_b', 'dla_l' or a"),
        ((plain, "rla_g"), "`interaction` must be 'mrla_b', 'mrla_l', 'dla_b', 'dla_l' or a"),
        ((plain, "fly"), "`interaction` must be None, one of"),
        ((small_residual(), "dianet"), "scales its input"),
        ((3, "dla_l"), "`model` must be a functional keras.Model, but is 3"),
    ):
        with pytest.raises(ValueError) as caught:
            add_interaction(*arguments)
        assert sentence in str(caught.value)
