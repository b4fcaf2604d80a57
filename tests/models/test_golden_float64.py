"""Stages in float64 against arrays of the authors' code in float64: equal to twelve digits."""

from functools import partial

import keras
import pytest

from keras_dla.interop import load_official_checkpoint
from tests import golden
from tests.backends import all_on_pytorch
from tests.gradients import gradients
from tests.layers.test_formats_and_dtypes import wide_floats
from tests.models.test_golden_stage import build_stage

CASES = {
    "mrla_base": "official",
    "mrla_light": "official",
    "dia_resnet": "official",
    "dla_b": "verbatim",
    "dla_l": "verbatim",
}
TOLERANCE = 1e-12


@pytest.fixture
def float64():
    """Everything in float64: weights, feature maps and vectors."""
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    with wide_floats("float64"):
        yield
    keras.config.set_floatx(before)
    keras.config.set_dtype_policy(before)


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
