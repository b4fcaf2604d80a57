import keras
import numpy as np
import pytest

from keras_dla.detection.heads.prediction_decoder import PredictionDecoder
from tests.detection.fakes import tiny_backbone

RNG = np.random.default_rng(0)
CORNER = RNG.uniform(0, 40, (2, 60, 2))
BOXES = np.concatenate([CORNER, CORNER + RNG.uniform(5, 25, (2, 60, 2))], -1).astype("float32")
LOGITS = RNG.normal(0, 2, (2, 60, 3)).astype("float32")
SETTINGS = {"score_threshold": 0.4, "iou_threshold": 0.3, "max_detections": 20}


def overlap(a, b):
    width, height = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0)
    area = np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - width * height
    return width * height / area


def slow(boxes, probabilities):
    """One image: pair by pair, the likeliest first."""
    pairs = [(-p, i, c) for (i, c), p in np.ndenumerate(probabilities) if p > 0.4]
    kept = []
    for score, i, c in sorted(pairs):
        if all(c != other or overlap(boxes[i], boxes[j]) <= 0.3 for _, j, other in kept):
            kept.append((score, i, c))
    return [(boxes[i], -score, c) for score, i, c in kept[:20]]


def test_against_a_slow_transcription():
    found = PredictionDecoder(**SETTINGS)(BOXES, LOGITS)
    found = {name: keras.ops.convert_to_numpy(values) for name, values in found.items()}
    for image in range(2):
        expected = slow(BOXES[image], 1 / (1 + np.exp(-LOGITS[image].astype("float64"))))
        number = found["num_detections"][image]
        assert number == len(expected) > 5
        boxes, scores, classes = map(np.array, zip(*expected, strict=True))
        np.testing.assert_allclose(found["boxes"][image, :number], boxes, atol=1e-5)
        np.testing.assert_allclose(found["confidence"][image, :number], scores, atol=1e-6)
        assert found["classes"][image, :number].tolist() == classes.tolist()
        assert (found["classes"][image, number:] == -1).all()


def test_probabilities_are_taken_as_they_are():
    probabilities = keras.ops.convert_to_numpy(keras.ops.sigmoid(LOGITS))
    expected = PredictionDecoder(**SETTINGS)(BOXES, LOGITS)
    found = PredictionDecoder(from_logits=False, **SETTINGS)(BOXES, probabilities)
    np.testing.assert_allclose(
        *(keras.ops.convert_to_numpy(f["confidence"]) for f in (found, expected)), atol=1e-6
    )


def test_config():
    decoder = PredictionDecoder(from_logits=False, candidates=7, **SETTINGS)
    again = PredictionDecoder.from_config(decoder.get_config())
    assert again.get_config() == decoder.get_config()


def test_decodes_for_keras_cv():
    keras_cv = pytest.importorskip("keras_cv", reason="KerasCV is not installed.")
    images = keras.Input((64, 64, 3))
    levels = {"P3": 8, "P4": 2, "P5": 2}
    x = images
    for name, stride in levels.items():
        x = keras.layers.Conv2D(4, 3, stride, padding="same", name=name)(x)
    backbone = keras.Model(images, x)
    backbone.pyramid_level_inputs = {name: name for name in levels}
    decoder = PredictionDecoder(score_threshold=0, max_detections=6)
    model = keras_cv.models.RetinaNet(
        backbone, 2, bounding_box_format="xywh", prediction_decoder=decoder
    )
    anchors = model.anchor_generator(image_shape=(64, 64, 3)).values()
    anchors = keras.ops.convert_to_numpy(keras.ops.concatenate(list(anchors)))
    logits = np.full((1, len(anchors), 2), -1, "float32")
    logits[0, 300, 1] = 1
    outputs = {"box": np.zeros((1, len(anchors), 4), "float32"), "classification": logits}
    outputs = {name: keras.ops.convert_to_tensor(values) for name, values in outputs.items()}
    found = model.decode_predictions(outputs, np.zeros((1, 64, 64, 3), "float32"))
    found = {name: keras.ops.convert_to_numpy(values) for name, values in found.items()}
    assert found["boxes"].shape == (1, 6, 4)
    assert found["num_detections"].tolist() == [6]
    np.testing.assert_allclose(found["boxes"][0, 0], anchors[300], atol=1e-4)
    assert found["classes"][0, 0] == 1


def test_decodes_for_keras_hub():
    keras_hub = pytest.importorskip("keras_hub", reason="KerasHub is not installed.")
    backbone = keras_hub.models.RetinaNetBackbone(
        tiny_backbone(),
        min_level=3,
        max_level=7,
        use_p5=False,
        image_shape=(64, 64, 3),
        data_format="channels_last",
    )
    model = keras_hub.models.RetinaNetObjectDetector(
        backbone,
        num_classes=2,
        bounding_box_format="xyxy",
        pre_logits_num_conv_layers=1,
        prediction_decoder=PredictionDecoder(score_threshold=0, max_detections=6),
    )
    found = model.predict(np.ones((1, 64, 64, 3), "float32"), verbose=0)
    assert found["boxes"].shape == (1, 6, 4)
    assert found["num_detections"].tolist() == [6]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("score_threshold", -0.1),
        ("iou_threshold", 1.1),
        ("max_detections", 0),
        ("candidates", 2.5),
    ],
)
def test_errors(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        PredictionDecoder(**{name: value})
