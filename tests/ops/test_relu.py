"""The ReLUs equal their plain form, values and gradients, whatever they overwrite or keep."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_dla.ops.relu import rectify, relu_of_sum
from tests.gradients import gradients


class Sum(keras.layers.Layer):
    """ReLU of the sum of its input and a weight."""

    def __init__(self, y):
        super().__init__()
        self.y = self.add_weight(shape=(1, *y.shape), initializer="zeros")
        self.y.assign(y[None])

    def call(self, x):
        return relu_of_sum(x, ops.convert_to_tensor(self.y))


def test_equals_the_plain_form():
    x, y, cotangent = np.random.default_rng(0).normal(size=(3, 1, 4, 3, 8)).astype("float32")
    inputs = keras.Input(x.shape[1:])
    model = keras.Model(inputs, Sum(y[0])(inputs))
    output, of_x, of_weights = gradients(model, x, cotangent)
    np.testing.assert_allclose(output, np.maximum(x + y, 0), rtol=1e-6)
    np.testing.assert_allclose(of_x, cotangent * (x + y > 0), rtol=1e-6)
    (weight,) = model.trainable_variables
    np.testing.assert_allclose(of_weights[id(weight)], cotangent * (x + y > 0), rtol=1e-6)
    np.testing.assert_array_equal(ops.convert_to_numpy(weight), y)


def test_rectify_equals_relu():
    x, cotangent = np.random.default_rng(1).normal(size=(2, 1, 4, 3, 8)).astype("float32")
    # At zero the derivative is 0 on every backend.
    x[0, 0] = 0
    inputs = keras.Input(x.shape[1:])
    model = keras.Model(inputs, keras.layers.Lambda(rectify)(inputs))
    output, of_x, _ = gradients(model, x, cotangent)
    np.testing.assert_array_equal(output, np.maximum(x, 0))
    np.testing.assert_array_equal(of_x, cotangent * (x > 0))


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="counts what PyTorch keeps")
def test_rectify_keeps_a_byte_an_entry():
    import torch

    kept = []
    x = torch.ones(2, 4, 3, 8, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(kept.append, lambda tensor: tensor):
        rectify(x)
    assert [tensor.nbytes for tensor in kept] == [x.numel()]
