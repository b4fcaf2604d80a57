"""Layers that PyTorch runs by their own `call` do what Keras's call of them does."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_dla.layers import BatchNormalization, Conv2D, MRLALight
from keras_dla.models import LeanModel, ResNet, used_options
from tests.layers.stages import randomize
from tests.models.test_every_network import NAMES

if keras.backend.backend() != "torch":
    pytest.skip("The other backends compile their calls.", allow_module_level=True)

import torch

FORMAT = "channels_last"


def images(*shape):
    return torch.tensor(np.random.default_rng(1).normal(size=(3, *shape)).astype("float32"))


def step(model, x):
    """Returns the outputs, gradients and statistics of a training step."""
    keras.utils.set_random_seed(5)
    model.zero_grad()
    outputs = keras.tree.flatten(model(x, training=True))
    sum((one.double() ** 2).sum() for one in outputs).backward()
    gradients = [w.value.grad for w in model.trainable_weights]
    return [*outputs, *gradients, *(w.value.clone() for w in model.non_trainable_weights)]


def assert_as_in_keras(model, x):
    """The plain model of Keras has the same layers, whose statistics are set back in between."""
    plain = keras.Model(model.inputs, model.output)
    before = [w.numpy() for w in model.non_trainable_weights]
    expected = step(plain, x)
    for weight, value in zip(model.non_trainable_weights, before, strict=True):
        weight.assign(value)
    for one, other in zip(step(model, x), expected, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert torch.equal(one, other)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_training_networks(name, policy):
    keras.config.set_dtype_policy(policy)
    try:
        options = used_options(f"{name or 'resnet'}_11", drop_path=0.5)
        model = ResNet((1, 2), name, 3, planes=(8, 16), data_format=FORMAT, **options)
    finally:
        keras.config.set_dtype_policy("float32")
    assert_as_in_keras(randomize(model), images(12, 12, 3))


@pytest.fixture
def small():
    """Returns a model and the layers in it that run directly."""
    inputs = keras.Input((6, 6, 4))
    x = Conv2D(4, 3, data_format=FORMAT, name="convolution")(inputs)
    x = layers.ReLU(name="relu")(BatchNormalization(FORMAT, name="norm")(x))
    outputs = layers.Dense(2, name="dense")(layers.Add(name="sum")([x, inputs]))
    return randomize(LeanModel(inputs, outputs))


def calls(model, training):
    """Returns which layers Keras calls."""
    called = []
    with pytest.MonkeyPatch.context() as patch, torch.set_grad_enabled(training):
        forward = layers.Layer.forward  # by which Keras calls a layer on PyTorch

        def watched(layer, *args, **kwargs):
            called.append(layer.name)
            return forward(layer, *args, **kwargs)

        patch.setattr(layers.Layer, "forward", watched)
        model(images(6, 6, 4), training=training)
    return [name for name in called if name != model.name]


@pytest.mark.parametrize("training", [True, False])
def test_keras_calls_no_layer(small, training):
    assert calls(small, training) == []


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ["convolution", "norm", "relu", "sum", "dense"])
def test_hooks_are_called(small, name, training):
    seen = []
    handle = small.get_layer(name).register_forward_hook(lambda *_: seen.append(name))
    with torch.set_grad_enabled(training):
        small(images(6, 6, 4), training=training)
        assert seen == [name]
        handle.remove()
        small(images(6, 6, 4), training=training)
    assert seen == [name]


def test_losses_of_activities(small):
    small.get_layer("norm").activity_regularizer = keras.regularizers.L2(0.1)
    small(images(6, 6, 4), training=True)
    assert len(small.losses) == 1
    small(images(6, 6, 4), training=True)
    assert len(small.losses) == 1
    small.get_layer("norm").activity_regularizer = None
    small(images(6, 6, 4), training=True)
    assert small.losses == []


@pytest.mark.parametrize("training", [True, False])
def test_settings_of_layers_may_change(small, training):
    """As Keras's own model, which calls the same layers."""
    plain = keras.Model(small.inputs, small.output)
    x = images(6, 6, 4)

    def assert_equal():
        with torch.set_grad_enabled(training):
            found, expected = small(x, training=False), plain(x, training=False)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
        return found

    before = assert_equal()
    small.get_layer("relu").negative_slope = 0.5
    after = assert_equal()
    assert (before - after).abs().max() > 1e-2
    small.get_layer("convolution").activation = keras.activations.tanh
    assert (assert_equal() - after).abs().max() > 1e-2
    before = assert_equal()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small.get_layer("convolution"), "activation", None)
        small.get_layer("convolution").enable_lora(1, b_initializer="ones")
        assert (assert_equal() - before).abs().max() > 1e-2
    small.get_layer("dense").quantize("int8")
    assert small.get_layer("dense").quantization_mode == "int8"
    assert_equal()


def test_a_mask_is_passed_on():
    inputs = keras.Input((None, 4))
    masked = layers.Masking()(inputs)
    outputs = layers.LSTM(3)(layers.ReLU()(masked))
    model = LeanModel(inputs, outputs)
    x = images(6, 4)
    x[:, 3:] = 0
    plain = keras.Model(inputs, outputs)
    for training in (True, False):
        with torch.set_grad_enabled(training):
            found, expected, short = model(x), plain(x), model(x[:, :3])
        assert torch.equal(found, expected)
        torch.testing.assert_close(found, short)


@pytest.mark.parametrize("training", [True, False, None])
def test_arguments_by_name(training):
    """The first argument may be given by name; the call's `training` goes before the graph's."""
    inputs = keras.Input((6, 6, 32))
    outputs, _ = MRLALight(1, data_format=FORMAT)(features=inputs, index=0)
    outputs = BatchNormalization(FORMAT)(outputs, training=True)
    model, plain = LeanModel(inputs, outputs), keras.Model(inputs, outputs)
    x = images(6, 6, 32)
    for recorded in (True, False):
        with torch.set_grad_enabled(recorded):
            found, expected = (one(x, training=training) for one in (model, plain))
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
