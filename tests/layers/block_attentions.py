"""Checks that every block attention passes, each in a test of its own."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_dla.models import ResNet
from tests import golden
from tests.backends import all_on_pytorch
from tests.gradients import differences, gradients
from tests.layers.stages import channels_first, randomize
from tests.layers.test_formats_and_dtypes import (
    MAPS,
    TOLERANCES,
    copied_weights,
    name_of,
    wide_floats,
)
from tests.parameters import trainable

FORMATS = ["channels_last", "channels_first"]
# Elsewhere float16 is shown by the gradients in mixed precision.
POLICIES = all_on_pytorch(["float64", "mixed_bfloat16", "mixed_float16", "float32"], 2)
# Trainable parameters of the networks without attention, by depth.
CIFAR = {20: 243_508, 56: 614_452, 110: 1_170_868}
IMAGENET = {50: 25_557_032, 101: 44_549_160}


def maps(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def model_of(layer, channels, dtype=None):
    """A model of `layer` alone, for images of any size."""
    last = layer.data_format == "channels_last"
    images = keras.Input((None, None, channels) if last else (channels, None, None), dtype=dtype)
    return keras.Model(images, layer(images))


def short_name(variable):
    """The name of a variable within its layer: theta/kernel."""
    return variable.path.split("/", 1)[1].removeprefix("attention/")


def is_one_of(variable, names):
    return any(f"/{variable.path}".endswith(f"/{name}") for name in names)


EXACT = {"float32": 1e-5, "float64": 1e-12}


def assert_equals_others(layer, arrays, names, dtype, output, without_gradient=()):
    """Compares a layer, in training, with arrays of an implementation that is not ours.

    Args:
        layer: the layer, of a dtype policy `dtype`, for channels first.
        arrays: what a golden file holds, in the layout of PyTorch.
        names: our short name of each weight by theirs.
        dtype: `"float32"` or `"float64"`.
        output: the key of the output in training.
        without_gradient: our names of weights that change nothing in training.
    """
    model = model_of(layer, arrays["input"].shape[1], dtype)
    variables = {short_name(variable): variable for variable in model.variables}
    for theirs, ours in names.items():
        variables[ours].assign(_like(variables[ours], arrays[f"state/{theirs}"]))
    images, cotangent = (arrays[name].astype(dtype) for name in ("input", "cotangent"))
    found, input_grad, grads = gradients(model, images, cotangent)
    assert ops.convert_to_numpy(found).dtype == dtype
    golden.assert_close(found, arrays[output], EXACT[dtype])
    golden.assert_close(input_grad, arrays["input_grad"], EXACT[dtype])
    for theirs, ours in names.items():
        grad = grads.get(id(variables[ours]))
        if ours in without_gradient:
            assert np.abs(grad).max() < 1e-4, ours
        elif grad is not None:
            golden.assert_close(grad, _like(grad, arrays[f"grad/{theirs}"]), EXACT[dtype])
    return model, images


def _like(ours, theirs):
    """An array of PyTorch's in our shape: a convolution's kernel has its axes in another order."""
    kernel = theirs.transpose(2, 3, 1, 0) if theirs.ndim == 4 else theirs
    return kernel.reshape(ours.shape)


def assert_training_is_golden(model, arrays, data_format, output="output_train"):
    """Compares the output and the input's gradient; returns the gradients by weight."""
    names = ("input", "cotangent")
    inputs, cotangent = (golden.as_format(arrays[name], data_format) for name in names)
    found, input_grad, weight_grads = gradients(model, inputs, cotangent)
    golden.assert_close(channels_first(found, data_format), arrays[output], 1e-5)
    golden.assert_close(channels_first(input_grad, data_format), arrays["input_grad"], 1e-5)
    return weight_grads


def assert_equals_transcription(transcription, layer, x, without_gradient=()):
    """Compares values and gradients in training, for NCHW maps, with a function in float64."""
    model = randomize(model_of(layer, x.shape[1]))
    variables = {short_name(variable): variable for variable in model.trainable_variables}
    weights = {n: ops.convert_to_numpy(v).astype("float64") for n, v in variables.items()}
    wide = x.astype("float64")

    def run():
        return transcription(wide, weights)

    expected = run()
    cotangent = maps(expected.shape, seed=1)
    output, input_grad, grads = gradients(
        model,
        golden.as_format(x, layer.data_format),
        golden.as_format(cotangent, layer.data_format),
    )
    golden.assert_close(channels_first(output, layer.data_format), expected, 1e-5)
    expected = differences(run, wide, cotangent)
    golden.assert_close(channels_first(input_grad, layer.data_format), expected, 1e-5)
    for name, variable in variables.items():
        grad = grads[id(variable)]
        if name in without_gradient:
            assert np.abs(grad).max() < 1e-4, name
        else:
            golden.assert_close(grad, differences(run, weights[name], cotangent), 1e-5)


def assert_gates_channels(layer, x, gates):
    """Compares with NCHW maps times a gate for every image and channel."""
    outputs = channels_first(layer(golden.as_format(x, layer.data_format)), layer.data_format)
    np.testing.assert_allclose(outputs, x * gates[:, :, None, None], rtol=1e-4, atol=1e-6)


def assert_dtype_policy(policy, x, kind, data_format="channels_last", **arguments):
    """Output and weights have the dtypes of `policy`; the numbers are those of float32."""
    arguments["data_format"] = data_format
    shape = keras.tree.map_structure(np.shape, x)
    reference = kind(**arguments)
    reference.build(shape)
    expected = ops.convert_to_numpy(randomize(reference)(x))
    with wide_floats(policy):
        layer = kind(**arguments, dtype=policy)
        layer.build(shape)
        output = copied_weights(layer, reference)(x)
        assert name_of(output) == MAPS.get(policy, "float32")
        assert {name_of(weight) for weight in layer.weights} == {layer.variable_dtype}
        output = ops.convert_to_numpy(ops.cast(output, "float32"))
    golden.assert_close(output, expected, TOLERANCES.get(policy, 1e-6))


def float32_gradients(layer, x, cotangent, without_gradient):
    """The gradients of a layer of any dtype whose output is cast to float32."""
    images = keras.Input((None, None, x.shape[-1]))
    outputs = keras.layers.Activation("linear", dtype="float32")(layer(images))
    model = randomize(keras.Model(images, outputs))
    _, input_grad, grads = gradients(model, x, cotangent)
    weights = [w for w in model.trainable_variables if not is_one_of(w, without_gradient)]
    return [input_grad, *(grads[id(weight)] for weight in weights)]


def assert_gradients_near_float32(
    policy, x, cotangent, kind, tolerance=0.05, without_gradient=(), **arguments
):
    """In the Euclidean norm, for NHWC maps, relative to the gradients in float32."""
    arguments["data_format"] = "channels_last"
    found, expected = (
        float32_gradients(kind(**arguments, dtype=dtype), x, cotangent, without_gradient)
        for dtype in (policy, "float32")
    )
    for grad, wanted in zip(found, expected, strict=True):
        assert np.linalg.norm(grad - wanted) < tolerance * np.linalg.norm(wanted)


def assert_predicts_as_called(model, layer, inputs, tolerance):
    """`model` knows neither the batch nor the images' size; `layer` is called on `inputs`."""
    outputs = ops.convert_to_numpy(layer(inputs))
    shape = keras.tree.map_structure(np.shape, inputs)
    assert outputs.shape == tuple(layer.compute_output_shape(shape))
    golden.assert_close(model.predict(inputs, verbose=0), outputs, tolerance)


def assert_keeps_any_shape(layer, shapes, tolerance):
    """`shapes` are NCHW, with the same number of channels."""
    model = randomize(model_of(layer, shapes[0][1]))
    assert model.output_shape == model.input_shape
    for shape in shapes:
        images = golden.as_format(maps(shape), layer.data_format)
        assert_predicts_as_called(model, layer, images, tolerance)


def copy_by_config(layer):
    copied = type(layer).from_config(layer.get_config())
    assert copied.get_config() == layer.get_config()
    return copied


def assert_cifar_count(name, depth, added, count):
    assert trainable(ResNet(depth, name)) == CIFAR[depth] + added == count


def assert_imagenet_count(name, depth, added, count):
    assert trainable(ResNet(depth, name, stem="imagenet")) == IMAGENET[depth] + added == count


def assert_refuses_zero(kind, name, **arguments):
    sentence = rf"^`{name}` must be an integer of at least 1, but is 0\.$"
    with pytest.raises(ValueError, match=sentence):
        kind(**{**arguments, name: 0})


def assert_refuses_8_channels(layer, shape=(None, 2, 2, 8)):
    """`layer` has a reduction of 16."""
    sentence = r"^`reduction` must be at most the number of channels \(8\), but is 16\.$"
    with pytest.raises(ValueError, match=sentence):
        layer.build(shape)


def assert_refuses_unknown_channels(layer, shape=(None, 2, 2, None)):
    with pytest.raises(ValueError, match="`inputs` must have a known number of channels on axis"):
        layer.build(shape)
