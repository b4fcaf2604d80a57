"""Every transform of the three frameworks gives the numbers of the plain forms."""

import contextlib
from unittest import mock

import keras
import numpy as np
import pytest

from keras_dla.ops.depthwise import depthwise_shifted
from tests.backends import THOROUGH
from tests.models.test_every_network import NAMES, images
from tests.models.test_golden_float64 import float64  # noqa: F401, a fixture
from tests.models.test_torch_compile import network

BACKEND = keras.backend.backend()
# Layer attention has hand-written gradients, CBAM a maximum.
FEW = ["dla_l", "dla_b", "cbam"] if BACKEND == "torch" else ["dla_l"]


@pytest.fixture(params=NAMES if THOROUGH else FEW)
def name(request):
    return request.param


@pytest.fixture
def model(name):
    return network(name)


@contextlib.contextmanager
def plain_forms():
    """No form of a backend's own where it has derivatives of its own."""
    with contextlib.ExitStack() as stack:
        for name in ("light_recurrence", "weighted_sum", "relu"):
            patch = mock.patch(f"keras_dla.ops.{name}.torch_runs_eagerly", lambda: False)
            stack.enter_context(patch)
        if BACKEND == "jax":
            form = mock.patch("keras_dla.ops.depthwise.fastest_form", lambda: depthwise_shifted)
            stack.enter_context(form)
        yield


def case():
    x = images(2, 8, 8)
    return x, np.random.default_rng(1).normal(size=x.shape).astype("float32")


def assert_equal(found, expected, tolerance=1e-4):
    found, expected = (keras.ops.convert_to_numpy(array) for array in (found, expected))
    scale = np.abs(expected).max()
    assert scale > 0
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)


if BACKEND == "torch":
    import torch

    def gradient_of(model, x, create_graph=False):
        loss = (model(x, training=False) ** 3).sum()
        return torch.autograd.grad(loss, x, create_graph=create_graph)[0]

    def hessian_product(model, x, direction):
        gradient = gradient_of(model, x, create_graph=True)
        return torch.autograd.grad((gradient * direction).sum(), x)[0]

    def penalty(model, x):
        """The gradient of a penalty on gradients in training, by the first kernel."""
        weights = [weight.value for weight in model.trainable_weights]
        loss = (model(x, training=True) ** 2).sum()
        gradients = torch.autograd.grad(loss, weights, create_graph=True, allow_unused=True)
        norm = sum((g**2).sum() for g in gradients if g is not None)
        return torch.autograd.grad(norm, weights[0])[0]

    def test_derivatives_of_any_order(model):
        x, direction = (torch.tensor(array, requires_grad=True) for array in case())
        with plain_forms():
            penalised = penalty(model, x)
        assert_equal(penalty(model, x), penalised)
        with plain_forms():
            gradient = gradient_of(model, x)
            product = hessian_product(model, x, direction)
        assert_equal(hessian_product(model, x, direction), product)
        x, direction = x.detach(), direction.detach()

        def loss(x):
            return (model(x, training=False) ** 3).sum()

        grad = torch.func.grad(loss)
        assert_equal(grad(x), gradient)
        assert_equal(torch.func.jvp(loss, (x,), (direction,))[1], (gradient * direction).sum())
        assert_equal(torch.func.jvp(grad, (x,), (direction,))[1], product)
        assert_equal(torch.vmap(lambda image: grad(image[None]))(x)[:, 0], gradient)

    def test_functional_call(model):
        """PyTorch replaces parameters, and so has the model: Keras alone would not notice."""
        x = torch.tensor(case()[0])
        variables = model.trainable_variables
        weights = {
            f"_torch_params.{variable.path}": variable.value.detach() * 1.1
            for variable in variables
        }
        moving = [variable.value for variable in model.non_trainable_variables]
        expected, _ = model.stateless_call([*weights.values()], moving, x, training=False)

        def run(weights):
            return torch.func.functional_call(model, weights, (x,), {"training": False})

        assert_equal(run(weights), expected)
        assert np.abs(model.predict(x, verbose=0) - run(weights).numpy(force=True)).max() > 1e-3
        gradients = torch.func.grad(lambda weights: (run(weights) ** 2).sum())(weights)
        assert all(gradients[f"_torch_params.{v.path}"].shape == v.shape for v in variables)
        many = {name: torch.stack([weight, weight / 1.1]) for name, weight in weights.items()}
        assert_equal(torch.vmap(run)(many), torch.stack([run(weights), model(x, training=False)]))

elif BACKEND == "jax":
    import jax

    def test_derivatives_of_any_order(model):
        x, direction = map(jax.numpy.asarray, case())
        moving = [variable.value for variable in model.non_trainable_variables]
        weights = [variable.value for variable in model.trainable_variables]

        def outputs(weights, x):
            return model.stateless_call(weights, moving, x, training=False)[0]

        def loss(x):
            return (outputs(weights, x) ** 3).sum()

        def plain():
            grad = jax.grad(loss)
            product = jax.grad(lambda x: (grad(x) * direction).sum())(x)
            return grad(x), product, outputs(weights, x)

        def transformed():
            grad = jax.grad(loss)
            product = jax.jvp(grad, (x,), (direction,))[1]
            each = jax.vmap(lambda image: outputs(weights, image[None])[0])(x)
            return grad(x), product, each

        with plain_forms():
            expected = jax.jit(plain)()
        for found, array in zip(jax.jit(transformed)(), expected, strict=True):
            assert_equal(found, array)

else:
    import tensorflow as tf

    def derivatives(model, x, direction):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                loss = tf.reduce_sum(model(x, training=False) ** 3)
            gradient = inner.gradient(loss, x)
            product = tf.reduce_sum(gradient * direction)
        return gradient, outer.gradient(product, x)

    def test_derivatives_of_any_order(float64, name):
        """By differences, in float64, and in a graph that knows no size."""
        model = network(name)
        x, direction = (tf.constant(array, "float64") for array in case())
        gradient, product = derivatives(model, x, direction)
        step = 1e-5 * direction
        above, below = (derivatives(model, y, direction)[0] for y in (x + step, x - step))
        assert_equal(product, (above - below) / 2e-5)
        maps = tf.TensorSpec((None, None, None, 3), "float64")
        graph = tf.function(
            lambda x, direction: derivatives(model, x, direction), input_signature=[maps, maps]
        )
        for found, expected in zip(graph(x, direction), (gradient, product), strict=True):
            assert_equal(found, expected)
