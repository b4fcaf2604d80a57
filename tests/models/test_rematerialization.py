"""`keras.RematScope` computes anew in the backward pass, and the gradients are the same."""

import functools

import keras
import numpy as np
import pytest

from keras_dla.models import ResNet
from tests.backends import all_on_pytorch
from tests.gradients import gradients
from tests.layers.stages import randomize
from tests.models.test_every_network import NAMES, WITHIN_A_BLOCK, images

# The fourth mode, "larger_than", fails in Keras 3.15 for every model: it asks tensors for `sparse`.
SCOPES = {
    "full": {"mode": "full"},
    "activations": {"mode": "activations"},
    "list_of_layers": {
        "mode": "list_of_layers",
        "layer_names": ["stage1_interaction", "stage1_block1_attention", "stage1_block1_bn1"],
    },
}
CASES = [(name, scope) for name in ["dla_l", "rla_g", "dla_b", *NAMES] for scope in SCOPES]


def network(name, **arguments):
    depth = (1,) if name in WITHIN_A_BLOCK else (2,)
    keras.utils.set_random_seed(0)
    return ResNet(
        depth, name, classes=3, planes=(8,), classifier_activation=None, input_shape=(8, 8, 3),
        data_format="channels_last", **arguments,
    )  # fmt: skip


def trained(model):
    """Returns the outputs, the gradients of the weights, and the weights after a step."""
    x, cotangent = images(4, 8, 8), np.random.default_rng(1).normal(size=(4, 3)).astype("float32")
    outputs, _, of_weights = gradients(model, x, cotangent)
    # In a graph of TensorFlow, Keras's own layers fail: its gradient takes no keywords there.
    eagerly = keras.backend.backend() == "tensorflow"
    model.compile("sgd", "mse", jit_compile=False, run_eagerly=eagerly)
    model.train_on_batch(x, cotangent)
    after = [keras.ops.convert_to_numpy(weight) for weight in model.weights]
    return outputs, [of_weights[id(weight)] for weight in model.trainable_variables], after


@functools.cache
def trained_without_scope(name):
    """What each scope must repeat, computed once."""
    return trained(randomize(network(name)))


@pytest.mark.parametrize(("name", "scope"), all_on_pytorch(dict.fromkeys(CASES), 3))
def test_gradients(name, scope):
    with keras.RematScope(**SCOPES[scope]):
        model = randomize(network(name))
    outputs, of_weights, after = trained(model)
    expected, expected_of_weights, expected_after = trained_without_scope(name)
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    largest = max(np.abs(array).max() for array in expected_of_weights)
    variables = model.trainable_variables
    for weight, mine, theirs in zip(variables, of_weights, expected_of_weights, strict=True):
        assert np.abs(mine - theirs).max() <= 1e-5 * largest, weight.path
    # The recomputation moves no statistics a second time.
    for mine, theirs in zip(after, expected_after, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)


@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="is refused there, see below")
def test_drop_path_repeats_its_draw():
    with keras.RematScope(mode="full"):
        model = network("mrla_b", drop_path=0.5)
    model = randomize(model)
    x, cotangent = images(8, 8, 8), np.ones((8, 3), "float32")
    norm = model.get_layer("stage1_interaction").norms[1]
    gamma, step = norm.gamma, 1e-2
    keras.utils.set_random_seed(1)
    seeds = [w for w in model.weights if "seed_generator" in w.path]
    drawn = [keras.ops.convert_to_numpy(seed) for seed in seeds]

    def run(value):
        gamma.assign(value)
        keras.utils.set_random_seed(1)
        for seed, number in zip(seeds, drawn, strict=True):
            seed.assign(number)
        return gradients(model, x, cotangent)

    before = keras.ops.convert_to_numpy(gamma)
    _, _, of_weights = run(before)
    higher, lower = (run(before + sign * step)[0].sum() for sign in (1, -1))
    expected = (higher - lower) / (2 * step)
    np.testing.assert_allclose(of_weights[id(gamma)].sum(), expected, rtol=2e-2)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of TensorFlow alone")
def test_tensorflow_refuses_drop_path():
    with keras.RematScope(mode="full"), pytest.raises(ValueError, match="RematScope"):
        network("mrla_b", drop_path=0.5)
