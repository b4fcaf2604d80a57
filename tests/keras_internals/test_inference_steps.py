"""Inference on PyTorch in fewer steps than the graph has calls, with the numbers of Keras's run."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_dla.layers import BatchNormalization, Conv2D
from keras_dla.models import LeanModel, ResNet
from tests.golden import assert_close
from tests.layers.stages import randomize

if keras.backend.backend() != "torch":
    pytest.skip("The other backends compile their inference.", allow_module_level=True)

import torch

FORMAT = "channels_last"


def images(*shape):
    return np.random.default_rng(1).normal(size=(2, *shape)).astype("float32")


def assert_equal_to_keras(model, x):
    """Where PyTorch records a gradient, all layers are called by Keras."""
    expected = keras.tree.flatten(model(x, training=False))
    with torch.no_grad():
        found = keras.tree.flatten(model(x, training=False))
    for one, other in zip(found, expected, strict=True):
        assert_close(one, keras.ops.convert_to_numpy(other), 1e-5)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("name", [None, "dla_l", "dla_b", "rla_g", "dianet", "ba"])
def test_networks(name, data_format):
    keras.utils.set_random_seed(0)
    sizes = {"classes": 3, "planes": (8, 8), "data_format": data_format}
    model = randomize(ResNet((2, 2), name, classifier_activation=None, **sizes))
    x = images(8, 8, 3) if data_format == "channels_last" else images(3, 8, 8)
    assert_equal_to_keras(model, x)


def conv_norm(x, strides=1):
    return BatchNormalization(FORMAT)(Conv2D(4, 3, strides, data_format=FORMAT)(x))


def test_what_something_else_reads_stays_as_it_is():
    """Nothing is summed or rectified in place that a second layer or the user reads."""
    inputs = keras.Input((6, 6, 4))
    read_twice = Conv2D(4, 1, data_format=FORMAT)(inputs)
    normed = conv_norm(read_twice)
    rectified = layers.ReLU()(normed)
    total = layers.Add()([conv_norm(rectified), read_twice])
    both = layers.Add()([conv_norm(inputs), conv_norm(total)])
    outputs = [normed, rectified, layers.ReLU()(total), layers.ReLU(max_value=0.1)(both), inputs]
    assert_equal_to_keras(randomize(LeanModel(inputs, outputs)), images(6, 6, 4))


class Doubled(BatchNormalization):
    """A layer of the user's own."""

    def call(self, inputs, training=None, mask=None):
        return 2 * super().call(inputs, training, mask)


def test_layers_of_ones_own_are_called():
    inputs = keras.Input((6, 6, 4))
    outputs = Doubled(FORMAT)(Conv2D(4, 1, data_format=FORMAT)(inputs))
    assert_equal_to_keras(randomize(LeanModel(inputs, outputs)), images(6, 6, 4))


def test_layers_of_different_dtypes():
    """What follows a convolution is in its step only if it computes in the same dtype."""
    inputs = keras.Input((6, 6, 4))
    finer = BatchNormalization(FORMAT, dtype="float64")(Conv2D(4, 3, data_format=FORMAT)(inputs))
    both = Conv2D(4, 3, data_format=FORMAT, dtype="float64")(finer)
    both = BatchNormalization(FORMAT, dtype="float64", epsilon=0.1)(both)
    total = layers.Add(dtype="float64")([conv_norm(both), inputs])
    rectified = layers.ReLU(dtype="float64")(conv_norm(total))
    assert_equal_to_keras(randomize(LeanModel(inputs, rectified)), images(6, 6, 4))


def test_every_norm_has_its_own_epsilon():
    inputs = x = keras.Input((6, 6, 4))
    for epsilon in (0.5, 1e-5, 0.1):
        x = BatchNormalization(FORMAT, epsilon=epsilon)(Conv2D(4, 3, data_format=FORMAT)(x))
    model = randomize(LeanModel(inputs, x))
    assert_equal_to_keras(model, images(6, 6, 4))
    model.layers[2].epsilon = 2.0
    assert_equal_to_keras(model, images(6, 6, 4))


@pytest.mark.parametrize("training", [True, False, None])
def test_a_layer_that_is_told_to_train_does_so(training):
    """Keras's own model lets `training` of its call decide, if that is not `None`."""
    inputs = keras.Input((6, 6, 4))
    outputs = BatchNormalization(FORMAT)(Conv2D(4, 3, data_format=FORMAT)(inputs), training=True)
    lean, plain = LeanModel(inputs, outputs), keras.Model(inputs, outputs)
    with torch.no_grad():
        found, expected = (model(images(6, 6, 4), training=training) for model in (lean, plain))
    assert_close(found, keras.ops.convert_to_numpy(expected), 1e-5)


def test_weights_are_read_at_every_run():
    inputs = keras.Input((6, 6, 4))
    model = randomize(LeanModel(inputs, layers.ReLU()(conv_norm(inputs))))
    x = images(6, 6, 4)
    model.predict_on_batch(x)
    for weight in model.weights:
        weight.value.data.mul_(1.5)
    assert_equal_to_keras(model, x)


def test_training_moves_the_statistics_without_gradients_too():
    inputs = keras.Input((6, 6, 4))
    model = LeanModel(inputs, conv_norm(inputs))
    moving = model.non_trainable_weights[0]
    before = keras.ops.convert_to_numpy(moving).copy()
    with torch.no_grad():
        model(images(6, 6, 4), training=True)
    assert np.abs(keras.ops.convert_to_numpy(moving) - before).max() > 1e-3


def test_a_convolution_and_what_follows_it_are_one_step():
    inputs = keras.Input((6, 6, 4))
    model = LeanModel(inputs, layers.ReLU()(layers.Add()([conv_norm(inputs), inputs])))
    called = []
    convolution = type(model.layers[1])
    assert convolution is Conv2D
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        for kind in (Conv2D, BatchNormalization, layers.Add, layers.ReLU):
            patch.setattr(kind, "call", lambda self, *_, **__: called.append(self))
        model(images(6, 6, 4), training=False)
    assert not called


def test_transforms_without_gradients():
    """What inference calls directly, PyTorch can neither map over a batch nor differentiate."""
    keras.utils.set_random_seed(0)
    sizes = {"classes": 3, "planes": (16,), "data_format": FORMAT}
    model = randomize(ResNet((2,), "dla_l", classifier_activation=None, **sizes))
    x = torch.as_tensor(images(32, 32, 3))

    def logits(batch):
        return model(batch, training=False)

    expected, moved = torch.func.jvp(logits, (x,), (x,))
    with torch.no_grad():
        found = torch.func.jvp(logits, (x,), (x,))
        by_one = torch.func.vmap(lambda image: logits(image[None])[0])(x)
    for one, other in zip((*found, by_one), (expected, moved, expected), strict=True):
        assert_close(one, keras.ops.convert_to_numpy(other), 1e-5)


def classifier(**options):
    inputs = keras.Input((6, 6, 4))
    pooled = layers.GlobalAveragePooling2D(data_format=FORMAT)(conv_norm(inputs))
    return randomize(LeanModel(inputs, layers.Dense(3, **options)(pooled)))


@pytest.mark.parametrize("activation", [None, "softmax", "relu"])
def test_the_classifier_is_a_step_of_its_own(activation, monkeypatch):
    model = classifier(activation=activation)
    assert_equal_to_keras(model, images(6, 6, 4))
    model.layers[-1].activation = keras.activations.tanh
    assert_equal_to_keras(model, images(6, 6, 4))
    monkeypatch.delattr(layers.Dense, "call")
    model.predict_on_batch(images(6, 6, 4))


@pytest.mark.parametrize("options", [{"use_bias": False}, {"dtype": "float64"}])
def test_other_dense_layers_are_called(options):
    assert_equal_to_keras(classifier(**options), images(6, 6, 4))


@pytest.mark.parametrize("kind", [Conv2D, BatchNormalization, layers.Dense])
def test_a_regulariser_that_is_set_later_adds_its_loss(kind):
    model, x = classifier(), images(6, 6, 4)
    model.predict_on_batch(x)
    (layer,) = (layer for layer in model.layers if type(layer) is kind)
    layer.activity_regularizer = keras.regularizers.L2(1.0)
    model(x, training=False)
    (expected,) = model.losses
    with torch.no_grad():
        model(x, training=False)
    (found,) = model.losses
    assert_close(found, keras.ops.convert_to_numpy(expected), 1e-5)
