"""Every form of the depthwise convolution is the same function, with the same gradients."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_dla.ops.depthwise import depthwise_conv3x3, depthwise_native, depthwise_shifted
from tests.layers.stages import from_channels_first

BACKEND = keras.backend.backend()
FORMS = {"chosen": depthwise_conv3x3, "shifted": depthwise_shifted}
if BACKEND == "jax":
    from keras_dla.ops.jax.depthwise import depthwise_jax

    FORMS |= {"native": depthwise_native, "own": depthwise_jax}
elif BACKEND == "tensorflow":
    from keras_dla.ops.tensorflow.depthwise import depthwise_tensorflow

    FORMS |= {"own": depthwise_tensorflow}
else:
    FORMS |= {"native": depthwise_native}

SIZES = [(1, 1), (1, 5), (2, 2), (7, 4)]


def reference(x, kernel, cotangent):
    """Output and both gradients of sum(output * cotangent), NCHW, in NumPy."""
    height, width = x.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    output, padded_grad, kernel_grad = 0, np.zeros_like(padded), np.zeros_like(kernel)
    for i in range(3):
        for j in range(3):
            window = np.s_[:, :, i : i + height, j : j + width]
            tap = kernel[i, j].reshape(1, -1, 1, 1)
            output = output + padded[window] * tap
            padded_grad[window] += cotangent * tap
            kernel_grad[i, j] = (padded[window] * cotangent).sum((0, 2, 3))
    return output, padded_grad[:, :, 1:-1, 1:-1], kernel_grad


def with_gradients(form, x, kernel, cotangent, compiled):
    """Output and both gradients on the backend that runs."""
    if BACKEND == "torch":
        return torch_gradients(form, x, kernel, cotangent)
    if BACKEND == "jax":
        return jax_gradients(form, x, kernel, cotangent, compiled)
    return tensorflow_gradients(form, x, kernel, cotangent, compiled)


def torch_gradients(form, x, kernel, cotangent):
    import torch

    x, kernel = (torch.tensor(a, requires_grad=True) for a in (x, kernel))
    output = form(x, kernel)
    return output, *torch.autograd.grad(output, (x, kernel), torch.tensor(cotangent))


def jax_gradients(form, x, kernel, cotangent, compiled):
    import jax

    def run(x, kernel):
        output, backward = jax.vjp(form, x, kernel)
        return output, *backward(jax.numpy.asarray(cotangent))

    return (jax.jit(run) if compiled else run)(x, kernel)


def tensorflow_gradients(form, x, kernel, cotangent, compiled):
    import tensorflow as tf

    def run(x, kernel):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            output = form(x, kernel)
        return output, *tape.gradient(output, [x, kernel], cotangent)

    if compiled:
        run = tf.function(run, jit_compile=True)
    return run(tf.constant(x), tf.constant(kernel))


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("compiled", [False, True] if BACKEND != "torch" else [False])
@pytest.mark.parametrize("name", FORMS)
def test_values_and_gradients(name, compiled, size, data_format):
    rng = np.random.default_rng(0)
    x, cotangent = rng.normal(size=(2, 3, 4, *size)).astype("float32")
    kernel = rng.normal(size=(3, 3, 4)).astype("float32")
    expected = reference(x, kernel, cotangent)

    def form(x, kernel):
        return FORMS[name](x, kernel, data_format)

    x, cotangent = (from_channels_first(a, data_format) for a in (x, cotangent))
    output, x_grad, kernel_grad = (
        ops.convert_to_numpy(a.detach() if BACKEND == "torch" else a)
        for a in with_gradients(form, x, kernel, cotangent, compiled)
    )
    close = {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(output, from_channels_first(expected[0], data_format), **close)
    np.testing.assert_allclose(x_grad, from_channels_first(expected[1], data_format), **close)
    np.testing.assert_allclose(kernel_grad, expected[2], **close)


def derivatives(form):
    """A function of x and the kernel: the sum of squares of the gradients of a sum of cubes."""

    def cubes(x, kernel):
        return ops.sum(form(x, kernel, "channels_last") ** 3)

    if BACKEND == "jax":
        import jax

        return lambda *x: sum(ops.sum(g**2) for g in jax.grad(cubes, (0, 1))(*x))
    if BACKEND == "torch":
        import torch

        return lambda *x: sum(
            ops.sum(g**2) for g in torch.autograd.grad(cubes(*x), x, create_graph=True)
        )

    def squares(*x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = cubes(*x)
        return sum(ops.sum(g**2) for g in tape.gradient(value, x))

    return squares


@pytest.mark.parametrize("compiled", [False, True] if BACKEND == "tensorflow" else [True])
def test_second_derivatives(compiled):
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, 3, 4, 5)) / 4, rng.normal(size=(3, 3, 5)) / 4
    x, kernel = x.astype("float32"), kernel.astype("float32")

    def of(form):
        return with_gradients(derivatives(form), x, kernel, np.float32(1), compiled)

    for found, expected in zip(of(depthwise_conv3x3), of(depthwise_shifted), strict=True):
        found, expected = (ops.convert_to_numpy(ops.stop_gradient(a)) for a in (found, expected))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


if BACKEND == "jax":

    def test_every_mode_of_jax():
        import jax
        from jax.test_util import check_grads

        rng = np.random.default_rng(0)
        inputs = [rng.normal(size=(2, 3, 4, 5)) / 2, rng.normal(size=(3, 3, 5)) / 2]
        inputs = [jax.numpy.asarray(array, "float32") for array in inputs]
        square = jax.jit(lambda *x: depthwise_jax(*x, "channels_last") ** 2)
        check_grads(square, inputs, order=2, modes=("fwd", "rev"), atol=0.02, rtol=0.02)
        x, kernel = inputs
        xs, kernels = (jax.numpy.stack([array, 2 * array]) for array in inputs)

        def mapped(form):
            """Gradients of maps and maps of gradients, over one input or both."""

            def cubes(*x):
                return (form(*x, "channels_last") ** 3).sum()

            both = jax.vmap(jax.grad(cubes, (0, 1)))(xs, kernels)
            by_x = jax.grad(lambda x: jax.vmap(cubes, (0, None))(x, kernel).sum())(xs)
            by_kernel = jax.grad(lambda k: jax.vmap(cubes, (None, 0))(x, k).sum())(kernels)
            return *both, by_x, by_kernel

        results = (jax.jit(mapped, static_argnums=0)(f) for f in (depthwise_jax, depthwise_shifted))
        for found, expected in zip(*results, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


if BACKEND == "tensorflow":
    import tensorflow as tf

    @pytest.mark.parametrize("compiled", [False, True])
    def test_xla_gets_the_form_that_it_can_fuse(compiled):
        function = tf.function(
            lambda x, kernel: depthwise_conv3x3(x, kernel, "channels_last"), jit_compile=compiled
        )
        graph = function.get_concrete_function(tf.ones((1, 4, 4, 2)), tf.ones((3, 3, 2))).graph
        native = any(
            "DepthwiseConv2dNative" in operation.type for operation in graph.get_operations()
        )
        assert native != compiled
