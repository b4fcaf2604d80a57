"""Second derivatives of the fused kernels of batch normalisation equal the plain form's."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_dla.ops.batch_norm import batch_norm, batch_norm_plain
from tests.gradients import gradients
from tests.layers.functions import FunctionOfWeights


def squared_gradients(form, x, gamma, beta):
    """The squares of the gradients of a sum of cubes, themselves to be differentiated."""

    def cubes(*inputs):
        # On PyTorch training moves the statistics in place.
        moving = ops.zeros(5), ops.ones(5)
        return ops.sum(form(*inputs, moving, 0.9, 1e-5, True, "channels_last")[0] ** 3)

    if keras.backend.backend() == "torch":
        import torch

        inputs = x, ops.convert_to_tensor(gamma), ops.convert_to_tensor(beta)
        found = torch.autograd.grad(cubes(*inputs), inputs, create_graph=True)
    else:
        import tensorflow as tf

        inputs = x, tf.convert_to_tensor(gamma), tf.convert_to_tensor(beta)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            value = cubes(*inputs)
        found = tape.gradient(value, inputs)
    return sum(ops.sum(gradient**2) for gradient in found)


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="has the plain form")
def test_second_derivatives():
    rng = np.random.default_rng(0)
    x, vectors = rng.normal(size=(3, 4, 2, 5)), rng.normal(size=(2, 5))
    results = []
    for form in (batch_norm, batch_norm_plain):
        layer = FunctionOfWeights(
            lambda x, *weights, form=form: squared_gradients(form, x, *weights),
            [vector.astype("float32") for vector in vectors],
        )
        _, of_x, of_weights = gradients(layer, x.astype("float32"), np.float32(1))
        results.append([of_x, *of_weights.values()])
    for found, expected in zip(*results, strict=True):
        scale = np.abs(expected).max()
        assert scale > 0
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * scale)
