"""Exported detectors find what the Keras model finds."""

import keras
import numpy as np
import pytest

from keras_dla.detection import FasterRCNN, MaskRCNN, RetinaNet
from keras_dla.interop import export_model
from keras_dla.models import ResNet
from tests.backends import ALL, BACKEND
from tests.detection.networks import SMALL, fill, shapes

# tf2onnx takes minutes with Mask R-CNN, which has all parts of Faster R-CNN.
CASES = {
    "tensorflow": [("faster_rcnn", "onnx"), ("retinanet", "tf_saved_model")],
    "jax": [("mask_rcnn", "tf_saved_model")],
    "torch": [],
}
THOROUGH = {
    "tensorflow": [("mask_rcnn", "tf_saved_model"), ("mask_rcnn", "onnx"), ("retinanet", "onnx")],
    "jax": [],
    "torch": [],
}
TWO_STAGES = {"faster_rcnn": FasterRCNN, "mask_rcnn": MaskRCNN}


def detector(kind="faster_rcnn"):
    """As small as detectors are: tf2onnx takes long over each loop of each level."""
    options = {"stem": "imagenet", "include_top": False, "data_format": "channels_last"}
    if kind in TWO_STAGES:
        backbone = ResNet((1, 1), planes=(8, 8), **options)
        settings = {**SMALL, "channels": 8, "head_units": 16, "proposals": 20}
        model = TWO_STAGES[kind](backbone, **settings, data_format="channels_last")
    else:
        pytest.importorskip("keras_cv")
        backbone = ResNet((1, 1, 1, 1), planes=(8, 8, 8, 8), **options)
        thresholds = {"max_detections": 20, "candidates": 100, "score_threshold": 0.01}
        model = RetinaNet(backbone, 3, image_shape=(64, 64), **thresholds)
    fill(model)
    return model


def check(found, expected, count):
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(np.asarray(found[name]), values[:count], rtol=1e-3, atol=2e-3)


@pytest.mark.skipif(BACKEND == "torch", reason="PyTorch writes none")
@pytest.mark.parametrize(("kind", "format"), CASES[BACKEND] + THOROUGH[BACKEND] * ALL)
def test_an_exported_detector_finds_the_same(tmp_path, kind, format):
    """The longest of the tests: tf2onnx takes a minute, and no smaller detector takes it less."""
    model, (x, _) = detector(kind), shapes(data_format="channels_last")[0]
    expected = model.predict_on_batch(x)
    assert (expected["classes"] >= 0).sum() > 10
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
        tf = pytest.importorskip("tensorflow")
        serve = tf.saved_model.load(str(path)).signatures["serve"]
        for count in (4, 1):
            found = serve(**{name: tf.constant(part[:count]) for name, part in x.items()})
            check(found, expected, count)


def test_what_is_not_written_is_one_sentence(tmp_path):
    model = detector()
    if keras.backend.backend() == "torch":
        with pytest.raises(ValueError, match=r"`format` of a detector must be .* 'torch' from to"):
            export_model(model, tmp_path / "a.pt2", "torch", image_shape=(64, 64))
    if keras.backend.backend() == "jax":
        with pytest.raises(
            ValueError, match=r"from tensorflow, but for .* is 'tf_saved_model' from"
        ):
            export_model(detector("retinanet"), tmp_path / "a", "tf_saved_model")
    if keras.backend.backend() == "tensorflow":
        for shape in (None, (64, 65), (64,)):
            with pytest.raises(ValueError, match="`image_shape` must be the height and width"):
                export_model(model, tmp_path / "a", "tf_saved_model", image_shape=shape)
    assert not list(tmp_path.iterdir())
