import dataclasses

import keras
import numpy as np
import pytest

import keras_dla
from keras_dla.layers import LayerInteraction
from keras_dla.layers import SqueezeExcitation as Attention
from keras_dla.training import CIFAR, IMAGENET, SGD, compile_model


def classifier(classes=10, activation=None):
    layers = [keras.Input((4,)), keras.layers.Dense(classes, activation=activation)]
    return keras.Sequential(layers)


def test_cifar_has_the_papers_numbers():
    assert dataclasses.asdict(CIFAR) == {
        "name": "cifar",
        "epochs": 180,
        "batch_size": 128,
        "learning_rate": 0.1,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "milestones": (100, 150),
        "factor": 0.1,
        "warmup_epochs": 0,
        "warmup_steps": 0,
        "drop_path": 0.2,
        "attention_weight_decay": None,
    }


def test_imagenet_has_the_papers_and_the_authors_numbers():
    assert dataclasses.asdict(IMAGENET) == {
        "name": "imagenet",
        "epochs": 100,
        "batch_size": 256,
        "learning_rate": 0.1,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "milestones": (30, 60, 90),
        "factor": 0.1,
        "warmup_epochs": 3,
        "warmup_steps": 0,
        "drop_path": 0.2,
        "attention_weight_decay": None,
    }


@pytest.mark.parametrize(
    ("epoch", "step", "rate"),
    [
        (0, 0, 0.1 / 15015),
        (0, 5004, 0.1 / 3),
        (1, 5004, 0.2 / 3),
        (2, 5004, 0.1),
        (3, 0, 0.1),
        (29, 5004, 0.1),
        (30, 0, 0.01),
        (59, 5004, 0.01),
        (60, 0, 0.001),
        (90, 0, 0.0001),
        (99, 5004, 0.0001),
    ],
)
def test_imagenets_rate(epoch, step, rate):
    schedule = IMAGENET.schedule(steps_per_epoch=5005)
    assert float(schedule(epoch * 5005 + step)) == pytest.approx(rate, rel=1e-5)


@pytest.mark.parametrize("interaction", ["dla_l", "se"])
def test_attention_has_a_decay_of_its_own(interaction):
    """Where the rate is 1, and the gradients nothing, a step leaves `1 - decay` of a weight."""
    recipe = dataclasses.replace(
        IMAGENET,
        learning_rate=1.0,
        warmup_epochs=0,
        weight_decay=0.25,
        attention_weight_decay=0.5,
    )
    model = keras_dla.models.ResNet(11, interaction, classes=10)
    optimizer = recipe.optimizer(steps_per_epoch=1)
    weights = model.trainable_weights
    before = [keras.ops.convert_to_numpy(weight) for weight in weights]
    optimizer.apply([keras.ops.zeros(weight.shape) for weight in weights], weights)
    layers = [layer for layer in model.layers if isinstance(layer, (LayerInteraction, Attention))]
    attention = {weight.path for layer in layers for weight in layer.trainable_weights}
    assert 0 < len(attention) < len(weights)
    for weight, start in zip(weights, before, strict=True):
        left = 0.5 if weight.path in attention else 0.75
        np.testing.assert_allclose(keras.ops.convert_to_numpy(weight), left * start, rtol=1e-6)


def test_scaled_keeps_the_places_of_the_drops():
    assert CIFAR.scaled(180) == CIFAR
    assert CIFAR.scaled(90).milestones == (50, 75)
    assert CIFAR.scaled(3).milestones == (2, 3)
    assert dataclasses.replace(CIFAR, warmup_epochs=20).scaled(9).warmup_epochs == 1


@pytest.mark.parametrize("epochs", [1, 2, 3, 7])
def test_scaled_works_for_the_shortest_runs(epochs):
    recipe = dataclasses.replace(CIFAR, warmup_epochs=5).scaled(epochs)
    assert recipe.epochs == epochs
    assert float(recipe.schedule(steps_per_epoch=2)(0)) == pytest.approx(0.1)


def test_optimizer_has_the_recipes_numbers():
    config = CIFAR.optimizer(steps_per_epoch=391).get_config()
    assert (config["momentum"], config["weight_decay"]) == (0.9, 1e-4)
    assert config["learning_rate"]["config"]["milestones"] == [100, 150]
    assert config["learning_rate"]["config"]["steps_per_epoch"] == 391


def test_compiled_model_trains_and_reports():
    model = compile_model(classifier(), CIFAR, steps_per_epoch=4)
    assert isinstance(model.optimizer, SGD)
    x, y = np.eye(4, dtype="float32"), np.arange(4)
    model.fit(x, y, epochs=30, verbose=0)
    results = model.evaluate(x, y, verbose=0, return_dict=True)
    assert set(results) == {"loss", "accuracy", "top5_accuracy"}
    assert results["accuracy"] == 1.0


@pytest.mark.parametrize("softmax_layer", [False, True])
def test_loss_of_logits_and_of_probabilities_agree(softmax_layer):
    logits = classifier()
    if softmax_layer:
        probabilities = classifier()
        probabilities.add(keras.layers.Softmax())
    else:
        probabilities = classifier(activation="softmax")
    probabilities.set_weights(logits.get_weights())
    x, y = np.eye(4, dtype="float32"), np.arange(4)
    losses = [
        compile_model(model, CIFAR, steps_per_epoch=1).evaluate(x, y, verbose=0)[0]
        for model in (logits, probabilities)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_logits_of_16_bits_train_and_come_back(policy, tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(10, dtype=policy)])
    compile_model(model, CIFAR, steps_per_epoch=4)
    x, y = np.eye(4, dtype="float32"), np.arange(4)
    model.fit(x, y, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    expected = model.evaluate(x, y, verbose=0, return_dict=True)
    assert copy.evaluate(x, y, verbose=0, return_dict=True) == pytest.approx(expected)


def test_loss_scale_survives_another_policy(tmp_path):
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_float16")
        model = compile_model(classifier(), CIFAR, steps_per_epoch=4)
        model.fit(np.eye(4, dtype="float32"), np.arange(4), epochs=2, verbose=0)
    finally:
        keras.config.set_dtype_policy(before)
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    for variable, expected in zip(copy.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(variable), keras.ops.convert_to_numpy(expected)
        )


def test_few_classes_have_no_top5():
    model = compile_model(classifier(classes=5), CIFAR, steps_per_epoch=1)
    results = model.evaluate(np.eye(4, dtype="float32"), np.arange(4), verbose=0, return_dict=True)
    assert set(results) == {"loss", "accuracy"}


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"epochs": 0}, "`epochs` must be an integer of at least 1, but is 0"),
        ({"batch_size": 1.5}, "`batch_size` must be an integer of at least 1, but is 1.5"),
        ({"learning_rate": -0.1}, "`learning_rate` must be positive, but is -0.1"),
        ({"factor": 0}, "`factor` must be positive, but is 0"),
        ({"momentum": 1.0}, "`momentum` must be at least 0 and less than 1, but is 1.0"),
        ({"drop_path": 1}, "`drop_path` must be at least 0 and less than 1, but is 1"),
        ({"weight_decay": -1e-4}, "`weight_decay` must be at least 0, but is -0.0001"),
        ({"attention_weight_decay": -1}, "`attention_weight_decay` must be at least 0, but is -1"),
        ({"milestones": (150, 100)}, "`milestones` must be in ascending order"),
        ({"warmup_epochs": 101}, "`warmup_epochs` must be .* but is 101"),
    ],
)
def test_bad_values_are_named(changed, sentence):
    with pytest.raises(ValueError, match=sentence):
        dataclasses.replace(CIFAR, **changed)


def test_bad_number_of_epochs_is_named():
    with pytest.raises(ValueError, match="`epochs` must be an integer of at least 1, but is 0"):
        CIFAR.scaled(0)
