"""RetinaNet. Run as a program, this file writes the detections that every backend must find."""

import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_dla.detection.coco.evaluation import evaluate_coco
from keras_dla.detection.retinanet import RetinaNet
from tests.backends import on_pytorch
from tests.detection.fakes import shapes, tiny_backbone

pytest.importorskip("keras_cv", reason="KerasCV is not installed.")
pytest.importorskip("pycocotools", reason="pycocotools is not installed.")

SIDE = 96
# With it the scores are neither all the same nor all 0 or 1.
GAIN = 1.0
REFERENCE = Path(__file__).parents[1] / "data" / "retinanet_detections.npz"


@pytest.fixture(scope="module")
def trained():
    """A detector after 60 steps on four images, the images, and what the training told."""
    keras.utils.set_random_seed(0)
    data = shapes(4, SIDE)
    model = RetinaNet(tiny_backbone(), 2, (SIDE, SIDE), head_layers=1)
    # XLA takes TensorFlow longer than the steps.
    jit = False if keras.backend.backend() == "tensorflow" else "auto"
    model.compile(keras.optimizers.Adam(1e-3, global_clipnorm=10.0), jit_compile=jit)
    history = model.fit(data, epochs=60, shuffle=False, verbose=0).history
    return model, data, history


@on_pytorch
def test_overfits_four_images(trained):
    model, data, history = trained
    assert evaluate_coco(model, data)["AP50"] > 0.9
    assert set(history) == {"loss", "classification_loss", "box_loss"}
    parts = np.add(history["classification_loss"], history["box_loss"])
    np.testing.assert_allclose(history["loss"], parts, rtol=1e-4)


@on_pytorch
def test_detections(trained):
    model, data, _ = trained
    x, y = data[0]
    found = model.predict_on_batch(x)
    assert {name: values.shape for name, values in found.items()} == {
        "boxes": (4, 100, 4),
        "scores": (4, 100),
        "classes": (4, 100),
    }
    assert found["classes"].dtype == "int32"
    assert (np.diff(found["scores"]) <= 0).all()
    none = found["classes"] < 0
    assert none.any() and not found["scores"][none].any() and not found["boxes"][none].any()
    # The two best are the square and the disc, in either order.
    for image in range(4):
        order = np.argsort(found["classes"][image, :2])
        np.testing.assert_allclose(found["boxes"][image][order], y["boxes"][image, :2], atol=4)


@on_pytorch
def test_boxes_end_where_the_image_ends(trained):
    model, data, _ = trained
    x, _ = data[0]
    x = {**x, "sizes": np.array([[40, 50]] * 4, "int32")}
    found = model.predict_on_batch(x)["boxes"]
    assert found.min() >= 0
    assert found[..., [0, 2]].max() == 50
    assert found[..., [1, 3]].max() == 40


@on_pytorch
def test_saves_and_loads(trained, tmp_path):
    model, data, _ = trained
    model.save(tmp_path / "retinanet.keras")
    again = keras.saving.load_model(tmp_path / "retinanet.keras", safe_mode=True)
    x, _ = data[0]
    expected, found = model.predict_on_batch(x), again.predict_on_batch(x)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)
    assert again.compiled
    own, same = (m.get_config() for m in (model, again))
    assert {**own, "backbone": None} == {**same, "backbone": None}


def reference_model():
    """A detector whose weights are the same on every backend, and have much to say."""
    model = RetinaNet(
        tiny_backbone("dla_l"),
        3,
        (64, 96),
        head_layers=1,
        score_threshold=0.3,
        max_detections=12,
    )
    rng = np.random.default_rng(0)
    for weight in model.trainable_variables:
        fan_in = np.prod(weight.shape[:-1])
        deviation = GAIN / np.sqrt(fan_in) if len(weight.shape) > 1 else 0.1
        weight.assign(rng.normal(weight.name == "gamma", deviation, weight.shape))
    return model


def reference_inputs():
    images = np.random.default_rng(1).normal(size=(2, 64, 96, 3)).astype("float32")
    return {"images": images, "sizes": np.array([[64, 96], [50, 70]], "int32")}


def test_every_backend_finds_the_same():
    found = reference_model().predict_on_batch(reference_inputs())
    with np.load(REFERENCE) as expected:
        assert (expected["classes"] >= 0).sum() > 10
        np.testing.assert_array_equal(found["classes"], expected["classes"])
        np.testing.assert_allclose(found["boxes"], expected["boxes"], atol=0.01)
        np.testing.assert_allclose(found["scores"], expected["scores"], atol=1e-4)


@on_pytorch
def test_images_without_objects_teach_the_background(trained):
    model, data, _ = trained
    x, y = data[0]
    y = {"boxes": np.zeros_like(y["boxes"]), "classes": np.full_like(y["classes"], -1)}
    anchors = 9 * (12**2 + 6**2 + 3**2 + 2**2 + 1)
    outputs = {"box": np.ones((4, anchors, 4)), "classification": np.zeros((4, anchors, 2))}
    outputs = {name: keras.ops.convert_to_tensor(a, "float32") for name, a in outputs.items()}
    model.reset_metrics()
    loss = float(keras.ops.convert_to_numpy(model.compute_loss(x, y, outputs)))
    # The focal loss of background that is taken for an object with probability 1/2.
    assert loss == pytest.approx(4 * anchors * 2 * 0.75 * 0.25 * np.log(2), rel=1e-4)
    assert float(keras.ops.convert_to_numpy(model.box_loss.result())) == 0


def test_half_precision_and_channels_first_as_keras_own_setting():
    keras.config.set_dtype_policy("mixed_bfloat16")
    own = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    try:
        model = RetinaNet(tiny_backbone(), 2, (64, 64), head_layers=1)
        assert keras.config.image_data_format() == "channels_first"
        outputs = model({"images": keras.Input((64, 64, 3)), "sizes": keras.Input((2,))})
        assert {name: o.dtype for name, o in outputs.items()} == {
            "box": "bfloat16",
            "classification": "bfloat16",
        }
        x = {"images": np.zeros((1, 64, 64, 3), "float32"), "sizes": np.array([[64, 64]])}
        zeros = {name: keras.ops.zeros((1, *o.shape[1:]), o.dtype) for name, o in outputs.items()}
        found = model.detections(zeros, x)
        assert keras.backend.standardize_dtype(found["boxes"].dtype) == "float32"
        assert keras.ops.convert_to_numpy(found["scores"])[0, 0] == 0.5
    finally:
        keras.config.set_dtype_policy("float32")
        keras.config.set_image_data_format(own)


@on_pytorch
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"backbone": "resnet_20"}, "`backbone` must have the levels P3, P4, P5"),
        ({"backbone": keras.Sequential([keras.Input((8,))])}, "`backbone` must have feature level"),
        ({"backbone": 50}, "`backbone` must be a network's name or a keras.Model, but is 50"),
        ({"classes": 0}, "`classes` must be"),
        ({"image_shape": (64, 100)}, r"`image_shape` must be .*, but is \(64, 100\)"),
        ({"image_shape": 64}, "`image_shape` must be"),
        ({"head_layers": 0}, "`head_layers` must be"),
        (
            {"backbone": "dla_l_50", "anchor_sizes": (32, 64)},
            "`anchor_sizes` must be 5 positive numbers",
        ),
        ({"iou_threshold": 2}, "`iou_threshold` must be"),
    ],
)
def test_errors(arguments, sentence):
    valid = {"backbone": tiny_backbone(), "classes": 2, "image_shape": (64, 64)}
    with pytest.raises(ValueError, match=sentence):
        RetinaNet(**{**valid, **arguments})


def test_keras_cv_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_cv", None)
    with pytest.raises(ImportError, match=r"pip install 'keras-dla\[data\]'"):
        RetinaNet(tiny_backbone(), 2, (64, 64))


if __name__ == "__main__":
    np.savez(REFERENCE, **reference_model().predict_on_batch(reference_inputs()))
