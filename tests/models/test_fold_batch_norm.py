"""Networks with BN inside their convolutions compute what they did before."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_dla
from keras_dla.interop import export_model
from keras_dla.layers import BatchNormalization, Conv2D
from keras_dla.models import LeanModel, ResNet, fold_batch_norm
from tests.backends import all_on_pytorch, on_pytorch
from tests.layers.stages import randomize
from tests.layers.test_formats_and_dtypes import wide_floats

# What is left: BN after an attention, or after something else than a convolution.
LEFT = {
    "dla_l": [],
    "ba": [],
    "dla_b": [],
    "rla_g": ["head_bn"],
    "aa": ["stage1_block1_bn2", "stage1_block2_bn2", "stage2_block1_bn2"],
}
CASES = [(name, "channels_first" if name == "ba" else "channels_last") for name in LEFT]


def images(*shape):
    return np.random.default_rng(1).normal(size=(2, *shape)).astype("float32")


def small(interaction="dla_l", **settings):
    sizes = {"classes": 3, "planes": (8, 8), "classifier_activation": None}
    return randomize(ResNet((2, 1), interaction, **sizes, **settings))


def norms(model):
    return [layer.name for layer in model.layers if isinstance(layer, layers.BatchNormalization)]


def assert_same(model, folded, x, tolerance=1e-5):
    expected, found = model.predict(x, verbose=0), folded.predict(x, verbose=0)
    keras.tree.assert_same_structure(found, expected)
    for mine, theirs in zip(keras.tree.flatten(found), keras.tree.flatten(expected), strict=True):
        assert np.abs(mine - theirs).max() <= tolerance * max(np.abs(theirs).max(), 1)


@pytest.mark.parametrize(("name", "data_format"), all_on_pytorch(CASES, 1))
def test_networks(name, data_format):
    model = small(name, data_format=data_format)
    before = model.get_weights()
    folded = fold_batch_norm(model)
    assert type(folded) is LeanModel and norms(folded) == LEFT[name]
    if name == "ba":  # the ReLUs that are left follow a sum
        relus = [layer.name for layer in folded.layers if isinstance(layer, layers.ReLU)]
        assert relus and all(relu.endswith("relu3") for relu in relus)
    assert folded.name == model.name and folded.inputs[0].name == model.inputs[0].name
    assert folded.output_names == model.output_names
    shape = (8, 8, 3) if data_format == "channels_last" else (3, 8, 8)
    assert_same(model, folded, images(*shape))
    for mine, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_float64():
    """Without Keras's float type, so that the first layer casts float32 images."""
    keras.config.set_dtype_policy("float64")
    try:
        with wide_floats("float64"):
            model = small(None)
            folded = fold_batch_norm(model)
            assert folded.layers[1].compute_dtype == "float64"
            assert_same(model, folded, images(8, 8, 3), 1e-12)
    finally:
        keras.config.set_dtype_policy("float32")


def test_saved_and_loaded(tmp_path):
    folded = fold_batch_norm(small("mrla_l"))
    folded.save(tmp_path / "folded.keras")
    loaded = keras_dla.load_model(tmp_path / "folded.keras")
    assert_same(folded, loaded, images(8, 8, 3), 1e-6)


@on_pytorch
def test_exported(tmp_path):
    pytest.importorskip("onnxruntime")
    model = randomize(ResNet((1,), planes=(4,), classes=2, input_shape=(8, 8, 3)))
    export_model(fold_batch_norm(model), tmp_path / "folded.onnx", "onnx")  # verifies


@on_pytorch
def test_backbones_keep_their_levels():
    backbone = randomize(ResNet((1, 1), planes=(8, 8), include_top=False))
    folded = fold_batch_norm(backbone)
    assert folded.pyramid_level_inputs == backbone.pyramid_level_inputs
    assert list(folded.pyramid_outputs) == list(backbone.pyramid_outputs)
    levels = [keras.Model(m.inputs, m.pyramid_outputs) for m in (backbone, folded)]
    assert_same(*levels, images(8, 8, 3))


def general(training=None):
    """Every kind of convolution and activation that is folded, with and without bias."""
    inputs = keras.Input((8, 8, 4), name="pictures")
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", use_bias=False)(inputs)
    x = layers.ReLU(max_value=6)(layers.BatchNormalization(scale=False)(x))
    x = layers.Conv2D(6, 3, strides=2, groups=2, activation="linear")(x)
    x = layers.Activation("silu", name="silu")(layers.BatchNormalization(center=False)(x))
    inner = keras.Input((3, 3, 6))
    y = layers.BatchNormalization(name="inner_norm")(layers.Conv2D(5, 1)(inner))
    x = keras.Model(inner, y, name="inner")(x, training=training)
    return randomize(keras.Model(inputs, {"scores": layers.Conv2D(2, 1)(x), "maps": x}))


def test_networks_of_others():
    model = general()
    folded = fold_batch_norm(model)
    assert type(folded) is not LeanModel
    assert len(model.layers) - len(folded.layers) == 4
    inner = folded.get_layer("inner")
    assert norms(inner) == norms(folded) == []
    assert inner.layers[-1].name == "inner_norm"
    assert_same(model, folded, images(8, 8, 4))


class Doubled(layers.BatchNormalization):
    """A layer of the user's own."""

    def call(self, inputs, training=None, mask=None):
        return 2 * super().call(inputs, training, mask)


@on_pytorch
def test_what_cannot_be_folded_stays():
    last = {"data_format": "channels_last"}
    inputs = keras.Input((6, 6, 4))
    read_twice = Conv2D(4, 1, **last)(inputs)
    shared = Conv2D(4, 1, **last)
    norm = BatchNormalization(name="of_two", **last)
    rectified = layers.ReLU(negative_slope=0.1)
    clipped = Conv2D(4, 1, activation="relu", **last)(inputs)
    outputs = [
        read_twice,
        BatchNormalization(name="of_read_twice", **last)(read_twice),
        BatchNormalization(name="of_shared", **last)(shared(inputs)),
        shared(inputs + 1),
        norm(Conv2D(4, 1, **last)(inputs)) + norm(Conv2D(4, 1, **last)(inputs)),
        Doubled(name="doubled")(Conv2D(4, 1, **last)(inputs)),
        layers.BatchNormalization(axis=1, name="of_rows")(Conv2D(4, 1, **last)(inputs)),
        BatchNormalization(name="of_clipped", **last)(clipped),
        rectified(BatchNormalization(name="folded", **last)(Conv2D(4, 1, **last)(inputs))),
    ]
    model = randomize(LeanModel(inputs, outputs))
    folded = fold_batch_norm(model)
    assert set(norms(model)) - set(norms(folded)) == {"folded"}
    assert_same(model, folded, images(6, 6, 4))


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"functional keras\.Model, but is <Dense"):
        fold_batch_norm(layers.Dense(1))
    x = keras.Input((4, 4, 2))
    without = keras.Model(x, layers.Conv2D(2, 1)(x), name="without")
    with pytest.raises(ValueError, match="alone reads its output, but 'without' has none"):
        fold_batch_norm(without)
    with pytest.raises(ValueError, match="calls 'inner' with `training=True`"):
        fold_batch_norm(general(training=True))
