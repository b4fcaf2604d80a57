"""Exported detectors find what the Keras model finds."""

import keras
import numpy as np
import pytest

from keras_dla.detection import FasterRCNN
from keras_dla.interop import export_model
from keras_dla.models import ResNet
from tests.detection.networks import SMALL, fill, shapes


def detector():
    """As small as detectors are: tf2onnx takes long over each loop of each level."""
    options = {"stem": "imagenet", "planes": (8, 8), "include_top": False}
    backbone = ResNet((1, 1), **options, data_format="channels_last")
    settings = {**SMALL, "channels": 8, "head_units": 16, "proposals": 20}
    model = FasterRCNN(backbone, **settings, data_format="channels_last")
    fill(model)
    return model


@pytest.fixture(scope="module")
def known():
    """A detector, images and what it finds on them."""
    model, (x, _) = detector(), shapes(data_format="channels_last")[0]
    expected = model.predict_on_batch(x)
    assert (expected["classes"] >= 0).sum() > 10
    return model, x, expected


def check(found, expected, count):
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(np.asarray(found[name]), values[:count], rtol=1e-3, atol=2e-3)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow writes them")
@pytest.mark.parametrize("format", ["tf_saved_model", "onnx"])
def test_an_exported_detector_finds_the_same(tmp_path, format, known):
    """The longest of the tests: tf2onnx takes a minute, and no smaller detector takes it less."""
    model, x, expected = known
    path = tmp_path / ("detector.onnx" if format == "onnx" else "detector")
    export_model(model, path, format, image_shape=(64, 64))
    if format == "onnx":
        runtime = pytest.importorskip("onnxruntime")
        session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        for count in (4, 1):
            values = session.run(None, {name: part[:count] for name, part in x.items()})
            check(dict(zip(names, values, strict=True)), expected, count)
    else:
        import tensorflow as tf

        serve = tf.saved_model.load(str(path)).signatures["serve"]
        for count in (4, 1):
            found = serve(**{name: tf.constant(part[:count]) for name, part in x.items()})
            check(found, expected, count)


def test_what_is_not_written_is_one_sentence(tmp_path):
    model = detector()
    if keras.backend.backend() == "torch":
        with pytest.raises(ValueError, match=r"`format` of a detector must be .* 'torch' from to"):
            export_model(model, tmp_path / "a.pt2", "torch", image_shape=(64, 64))
    if keras.backend.backend() == "tensorflow":
        for shape in (None, (64, 65), (64,)):
            with pytest.raises(ValueError, match="`image_shape` must be the height and width"):
                export_model(model, tmp_path / "a", "tf_saved_model", image_shape=shape)
    assert not list(tmp_path.iterdir())
