"""The recurrence of Eq. 3 against NumPy, and its gradients against the plain form's."""

import keras
import numpy as np
import pytest

from keras_dla.ops.light_recurrence import light_recurrence, light_recurrence_plain
from tests.golden import assert_close
from tests.gradients import gradients
from tests.layers.functions import FunctionOfWeights
from tests.layers.stages import from_channels_first
from tests.layers.test_paper_formulation import depthwise
from tests.ops.torch.batch_slices import in_parts

BATCH, CHANNELS, HEIGHT, WIDTH = 3, 4, 5, 2


def random_case(data_format):
    """Returns x, kernel, gate, memory, decay and the kernel of the excitation."""
    rng = np.random.default_rng(0)
    x, memory = rng.normal(size=(2, BATCH, CHANNELS, HEIGHT, WIDTH)).astype("float32")
    kernel, excitation = rng.normal(size=(2, 3, 3, CHANNELS)).astype("float32")
    gate, decay = rng.normal(size=(2, BATCH, CHANNELS)).astype("float32")
    x, memory = (from_channels_first(maps, data_format) for maps in (x, memory))
    return x, kernel, gate, memory, decay, excitation


@pytest.mark.parametrize("parted", [False, True])
@pytest.mark.parametrize("excited", [False, True])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_equals_numpy(data_format, excited, parted):
    x, kernel, gate, memory, decay, excitation = random_case("channels_first")
    gate, decay = gate[:, :, None, None], decay[:, :, None, None]
    expected = gate * depthwise(x, kernel) + decay * memory
    expected = expected + depthwise(memory, excitation) if excited else expected
    *tensors, excitation = map(keras.ops.convert_to_tensor, random_case(data_format))
    with in_parts(parted):
        actual = light_recurrence(*tensors, excitation if excited else None, data_format)
    assert_close(actual, from_channels_first(expected, data_format), 1e-5)


def squared(function, excited, data_format):
    """The square of the recurrence, whose gradient depends on its value."""
    rest = () if excited else (None,)

    def square(x, features, *arguments):
        return function(features * x, *arguments, *rest, data_format) ** 2

    return square


@pytest.mark.parametrize("parted", [False, True])
@pytest.mark.parametrize("excited", [False, True])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_gradients_equal_the_plain_form(data_format, excited, parted):
    case = random_case(data_format)
    cotangent = np.random.default_rng(9).normal(size=case[0].shape).astype("float32")
    results = []
    for function in (light_recurrence, light_recurrence_plain):
        layer = FunctionOfWeights(
            squared(function, excited, data_format), case if excited else case[:-1]
        )
        with in_parts(parted):
            _, input_grad, weight_grads = gradients(layer, np.ones_like(case[0]), cotangent)
        results.append([input_grad, *(weight_grads[id(w)] for w in layer.trainable_variables)])
    assert len(results[0]) == (7 if excited else 6)
    for actual, expected in zip(*results, strict=True):
        assert np.abs(expected).max() > 0
        assert_close(actual, expected, 1e-5)
