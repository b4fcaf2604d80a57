"""Files that were written before the package moved still load, to the same outputs."""

import keras
import numpy as np
import pytest

from tests.backends import all_on_pytorch
from tests.golden import assert_close
from tests.models.make_saved_models import FOLDER, INTERACTIONS, classifiers, image

with np.load(FOLDER / "outputs.npz", allow_pickle=False) as arrays:
    OUTPUTS = dict(arrays)
# A file holds no backend: the others read it by the same code.
LARGEST_FIRST = sorted(INTERACTIONS, key=("dla_b", "mrla_b", "rla_g").__contains__, reverse=True)


@pytest.mark.parametrize("name", all_on_pytorch(LARGEST_FIRST, elsewhere=3))
def test_whole_models(name):
    model = keras.saving.load_model(FOLDER / f"{name}.keras")
    assert_close(model.predict(image(8), verbose=0), OUTPUTS[name], 1e-5)


@pytest.mark.parametrize("name", all_on_pytorch(["dla_l", "mrla_b"], 1))
def test_weights_alone(name):
    model = dict(classifiers())[name]
    model.load_weights(FOLDER / f"{name}.weights.h5")
    assert_close(model.predict(image(8), verbose=0), OUTPUTS[name], 1e-5)


def test_detector():
    model = keras.saving.load_model(FOLDER / "detector.keras")
    inputs = {"images": image(64), "sizes": np.array([[64, 64]], "float32")}
    found = model.predict(inputs, verbose=0)
    for key in ("boxes", "scores"):
        assert_close(found[key], OUTPUTS[f"detector_{key}"], 1e-5)
    assert np.array_equal(found["classes"], OUTPUTS["detector_classes"])
