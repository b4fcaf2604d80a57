"""The fused BN is Keras's own in numbers and gradients, and moves the variance as PyTorch does."""

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


def moved(before, batches, momentum=0.9):
    """The moving mean and unbiased variance in NumPy, after batches in channels last."""
    mean, variance = before
    for batch in batches:
        entries = batch.reshape(-1, batch.shape[-1]).astype("float64")
        mean = momentum * mean + (1 - momentum) * entries.mean(0)
        variance = momentum * variance + (1 - momentum) * entries.var(0, ddof=1)
    return mean, variance


@pytest.mark.parametrize("trainable", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("data_format", FORMATS)
def test_the_unbiased_variance_moves(data_format, dtype, trainable):
    layer = BatchNormalization(data_format, dtype=dtype)
    x = maps(data_format)
    layer.build(x.shape)
    layer = randomize(layer)
    layer.trainable = trainable
    before = [ops.convert_to_numpy(w) for w in (layer.moving_mean, layer.moving_variance)]
    for seed in (0, 1):
        layer(maps(data_format, seed=seed).astype(dtype), training=True)
    batches = [maps("channels_last", seed=seed) for seed in (0, 1)] if trainable else []
    expected = moved(before, batches)
    found = layer.moving_mean, layer.moving_variance
    for mine, theirs in zip(found, expected, strict=True):
        assert_close(mine, theirs, 1e-6)


def test_a_small_variance_moves_without_epsilon_in_it():
    layer = BatchNormalization("channels_last")
    x = 0.01 * maps("channels_last")
    layer.build(x.shape)
    layer.moving_variance.assign(np.zeros(6, "float32"))
    layer(x, training=True)
    # Epsilon is a tenth of this variance.
    _, expected = moved((0.0, np.zeros(6)), [x])
    np.testing.assert_allclose(ops.convert_to_numpy(layer.moving_variance), expected, rtol=1e-3)


def test_a_stateless_call_leaves_what_it_was_given():
    model, _ = pair("channels_last")
    trained, others = (
        [w.value for w in ws] for ws in (model.trainable_variables, model.non_trainable_variables)
    )
    before = [ops.convert_to_numpy(value).copy() for value in others]
    _, after = model.stateless_call(trained, others, maps("channels_last"), training=True)
    for value, kept, new in zip(others, before, after, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(value), kept)
        assert not np.allclose(ops.convert_to_numpy(new), kept)


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


def test_fit_moves_the_statistics():
    """Compiled, where the assignment must not be lost."""
    model, _ = pair("channels_last")
    layer = model.layers[1]
    before = [ops.convert_to_numpy(w) for w in (layer.moving_mean, layer.moving_variance)]
    model.compile("sgd", "mse", jit_compile=False)
    x = maps("channels_last", batch=4)
    model.fit(x, np.zeros_like(x), batch_size=2, epochs=2, shuffle=False, verbose=0)
    expected = moved(before, [x[:2], x[2:], x[:2], x[2:]])
    for mine, theirs in zip((layer.moving_mean, layer.moving_variance), expected, strict=True):
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
