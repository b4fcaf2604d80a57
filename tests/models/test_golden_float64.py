"""Stages and networks in float64 against arrays of the authors' code in float64."""

import contextlib
from functools import partial

import keras
import numpy as np
import pytest

import keras_dla
from keras_dla.analysis.class_scores import class_scores
from keras_dla.interop import load_official_checkpoint
from keras_dla.models import ResNet
from tests import golden
from tests.backends import all_on_pytorch
from tests.gradients import gradients
from tests.layers.test_formats_and_dtypes import wide_floats
from tests.models.test_golden_network import build_network
from tests.models.test_golden_stage import build_stage

CASES = {
    "mrla_base": "official",
    "mrla_light": "official",
    "dia_resnet": "official",
    "dla_b": "verbatim",
    "dla_l": "verbatim",
}
TOLERANCE = 1e-12


@contextlib.contextmanager
def in_float64():
    """Everything in float64: weights, feature maps and vectors."""
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        with wide_floats("float64"):
            yield
    finally:
        keras.config.set_floatx(before)
        keras.config.set_dtype_policy(before)


@pytest.fixture
def float64():
    with in_float64():
        yield


@pytest.mark.parametrize("name", all_on_pytorch(reversed(CASES), 1))
def test_stage_equals_the_authors_in_float64(name, float64):
    full = f"{name}_verbatim" if CASES[name] == "verbatim" else name
    arrays = golden.load(f"stage_{full}")
    expected = golden.part(golden.load("stages_float64"), f"{full}/")
    to_format = partial(golden.as_format, data_format="channels_last")
    model, prefix = build_stage(name, CASES[name], "channels_last")
    load_official_checkpoint(model, golden.part(arrays, "state/", prefix))
    images, cotangent = (to_format(arrays[x]).astype("float64") for x in ("input", "cotangent"))

    def every(array, step):
        return keras.ops.convert_to_numpy(array)[..., ::step].transpose(0, 3, 1, 2)

    output = every(model(images, training=False), 8)
    assert output.dtype == "float64"
    golden.assert_close(output, expected["output_eval"], TOLERANCE)
    output, input_grad, _ = gradients(model, images, cotangent)
    golden.assert_close(every(output, 8), expected["output_train"], TOLERANCE)
    golden.assert_close(every(input_grad, 2), expected["input_grad"], TOLERANCE)


@pytest.mark.parametrize("name", all_on_pytorch(reversed(golden.NETWORKS), 1))
def test_network_equals_the_authors_in_float64(name, float64):
    formulation = CASES.get(name, "official")
    full = f"{name}_verbatim" if formulation == "verbatim" else name
    arrays = golden.load_shared(f"cifar_{name}_29")
    expected = golden.part(golden.load("networks_float64"), f"{full}/")
    model = build_network(name, formulation, "channels_last")
    load_official_checkpoint(model, golden.part(arrays, "state/"))
    images = golden.as_format(arrays["input"], "channels_last").astype("float64")
    for mode, training in (("eval", False), ("train", True)):
        logits = keras.ops.convert_to_numpy(model(images, training=training))
        assert logits.dtype == "float64"
        golden.assert_close(logits, expected[f"logits_{mode}"], TOLERANCE)


def test_float64_in_what_ends_a_network(float64, tmp_path):
    """The softmax, and the scores that pictures are drawn of; saved and loaded."""
    model = ResNet((1,), None, classes=3, planes=(8,), data_format="channels_last")
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3))
    features = keras.Model(model.inputs, model.get_layer("avg_pool").output)
    logits = keras.ops.convert_to_numpy(features(images, training=False))
    kernel, bias = model.get_layer("classifier").get_weights()
    logits = logits @ kernel + bias
    expected = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    golden.assert_close(model(images, training=False), expected, TOLERANCE)
    tensor, scores = class_scores(model)
    found = keras.Model(model.inputs, tensor)(images, training=False)
    golden.assert_close(scores(found), logits, TOLERANCE)
    model.save(tmp_path / "model.keras")
    copy = keras_dla.load_model(tmp_path / "model.keras")
    golden.assert_close(copy(images, training=False), expected, TOLERANCE)
