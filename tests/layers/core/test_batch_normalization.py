"""The fused BN is Keras's own, in numbers, statistics and gradients."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_dla.layers import BatchNormalization
from tests.golden import assert_close
from tests.gradients import gradients
from tests.layers.stages import from_channels_first, randomize

FORMATS = ["channels_last", "channels_first"]
AXES = {"channels_last": -1, "channels_first": 1}


def pair(data_format, channels=6, trainable=True, dtype=None):
    """Ours and Keras's with the same weights, each in a functional model."""
    shape = (None, None, channels) if data_format == "channels_last" else (channels, None, None)
    models = []
    for layer in (
        BatchNormalization(data_format, dtype=dtype),
        keras.layers.BatchNormalization(AXES[data_format], momentum=0.9, epsilon=1e-5, dtype=dtype),
    ):
        images = keras.Input(shape)
        x = layer(images)
        if dtype is not None:
            x = keras.layers.Activation("linear", dtype="float32")(x)
        models.append(randomize(keras.Model(images, x)))
        layer.trainable = trainable
    return models


def maps(data_format, batch=3, size=(5, 4), channels=6, seed=0):
    x = 2 + np.random.default_rng(seed).normal(size=(batch, channels, *size))
    return from_channels_first(x.astype("float32"), data_format)


@pytest.mark.parametrize("trainable", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("data_format", FORMATS)
def test_equals_kerass(data_format, training, trainable):
    ours, keras_own = pair(data_format, trainable=trainable)
    x, cotangent = maps(data_format), maps(data_format, seed=1)
    expected = gradients(keras_own, x, cotangent, training)
    found = gradients(ours, x, cotangent, training)
    assert_close(found[0], expected[0], 1e-5)
    assert_close(found[1], expected[1], 2e-5)
    weights = list(zip(ours.trainable_variables, keras_own.trainable_variables, strict=True))
    assert len(weights) == (2 if trainable else 0)
    for mine, theirs in weights:
        assert_close(found[2][id(mine)], expected[2][id(theirs)], 2e-5)


@pytest.mark.parametrize("trainable", [True, False])
@pytest.mark.parametrize("data_format", FORMATS)
def test_moving_statistics_equal_kerass(data_format, trainable):
    ours, keras_own = pair(data_format, trainable=trainable)
    before = [w.copy() for w in ours.get_weights()]
    for seed in (0, 1):
        for model in (ours, keras_own):
            model(maps(data_format, seed=seed), training=True)
    for mine, theirs in zip(ours.get_weights(), keras_own.get_weights(), strict=True):
        assert_close(mine, theirs, 1e-5)
    moved = [not np.array_equal(a, b) for a, b in zip(ours.get_weights(), before, strict=True)]
    assert sum(moved) == (2 if trainable else 0)


def test_a_small_variance_moves_without_epsilon_in_it():
    moved = []
    for model in pair("channels_last"):
        layer = model.layers[1]
        layer.moving_variance.assign(np.zeros(6, "float32"))
        model(0.01 * maps("channels_last"), training=True)
        moved.append(ops.convert_to_numpy(layer.moving_variance))
    # Epsilon is a tenth of this variance.
    np.testing.assert_allclose(*moved, rtol=1e-3)


@pytest.mark.parametrize("training", [True, False])
def test_one_pixel(training):
    """A batch of one pixel has no variance."""
    ours, keras_own = pair("channels_last")
    x = maps("channels_last", batch=1, size=(1, 1))
    expected = ops.convert_to_numpy(keras_own(x, training=training))
    # x minus its mean is 0 but for rounding, and is divided by the square root of epsilon.
    assert_close(ours(x, training=training), expected, 1e-4)
    for mine, theirs in zip(ours.get_weights(), keras_own.get_weights(), strict=True):
        assert np.isfinite(mine).all()
        assert_close(mine, theirs, 1e-5)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("training", [True, False])
def test_mixed_precision(training, dtype):
    ours, keras_own = pair("channels_last", dtype=dtype)
    x, cotangent = maps("channels_last"), maps("channels_last", seed=1)
    expected = gradients(keras_own, x, cotangent, training)
    found = gradients(ours, x, cotangent, training)
    tolerance = {"mixed_float16": 4e-3, "mixed_bfloat16": 3e-2}[dtype]
    assert_close(found[0], expected[0], tolerance)
    assert_close(found[1], expected[1], 5 * tolerance)
    layer = ours.layers[1]
    assert keras.backend.standardize_dtype(layer(x).dtype) == dtype.removeprefix("mixed_")
    assert layer.moving_mean.dtype == "float32"


def test_fit_moves_the_statistics_as_kerass():
    """Compiled, where the assignment must not be lost."""
    weights = []
    for model in pair("channels_last"):
        model.compile("sgd", "mse", jit_compile=False)
        x = maps("channels_last", batch=4)
        model.fit(x, np.zeros_like(x), batch_size=2, epochs=2, shuffle=False, verbose=0)
        weights.append(model.get_weights())
    for mine, theirs in zip(*weights, strict=True):
        assert_close(mine, theirs, 1e-5)


@pytest.mark.parametrize("data_format", FORMATS)
def test_saved_and_loaded(tmp_path, data_format):
    model, _ = pair(data_format)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.layers[1]) is BatchNormalization
    x = maps(data_format)
    expected = ops.convert_to_numpy(model(x))
    np.testing.assert_array_equal(ops.convert_to_numpy(loaded(x)), expected)
    config = model.layers[1].get_config()
    assert loaded.layers[1].get_config() == config
    assert BatchNormalization.from_config(config).get_config() == config


def test_the_constants_are_pytorchs():
    layer = BatchNormalization()
    assert (layer.epsilon, layer.momentum) == (1e-5, 0.9)
