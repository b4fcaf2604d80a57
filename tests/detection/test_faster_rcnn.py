import functools
import math
from collections import namedtuple

import keras
import numpy as np
import pytest
from keras import ops

from keras_dla.detection import FasterRCNN, MaskRCNN, evaluate_coco
from keras_dla.training import SGD
from tests.backends import all_on_pytorch, on_pytorch, on_tensorflow_and_pytorch
from tests.detection.networks import SMALL, fill, shapes, small_backbone
from tests.golden import DATA

DETECTORS = {"faster_rcnn": FasterRCNN, "mask_rcnn": MaskRCNN}
# Mask R-CNN has all parts of Faster R-CNN, so where both take minutes PyTorch alone runs both.
BOTH_OR_THE_LARGER = all_on_pytorch([*DETECTORS][::-1], 1)


def build(kind, data_format=None, **changes):
    backbone = small_backbone(data_format=data_format)
    return DETECTORS[kind](backbone, **{**SMALL, "data_format": data_format, **changes})


def images(kind, **kwargs):
    return shapes(mask_size=28 if kind == "mask_rcnn" else None, **kwargs)


def compiled(model, rate=0.01, steps=1, **kwargs):
    """A graph of these networks takes TensorFlow longer to make than a few steps take to run."""
    on_tensorflow = keras.backend.backend() == "tensorflow"
    model.compile(
        SGD(rate, momentum=0.9, **kwargs),
        jit_compile=False if on_tensorflow else "auto",
        run_eagerly=on_tensorflow and steps < 5,
    )
    return model


def trainable(model):
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


TABLE_3 = [
    ("mask_rcnn", "dla_l_50", 0, 46.9),
    ("faster_rcnn", "resnet_50", 1, 41.5),
    ("faster_rcnn", "resnet_101", 1, 60.5),
    ("mask_rcnn", "resnet_50", 1, 44.2),
    ("mask_rcnn", "resnet_101", 1, 63.2),
    ("faster_rcnn", "dla_l_50", 0, 44.2),
    ("faster_rcnn", "dla_l_101", 0, 63.4),
    ("mask_rcnn", "dla_l_101", 0, 66.1),
]


@on_pytorch
@pytest.mark.parametrize(("kind", "backbone", "frozen", "printed"), TABLE_3)
def test_parameters_of_table_3(kind, backbone, frozen, printed):
    """MMDetection does not count what it freezes; the authors' rows count everything."""
    model = DETECTORS[kind](backbone, classes=80, frozen_stages=frozen)
    assert round(trainable(model) / 1e6, 1) == printed


@pytest.mark.parametrize(
    "name", all_on_pytorch(["rla_g", "ba", "mrla_l", "se", "eca", "gc", "nl"], 1)
)
def test_other_backbones_by_name(name):
    model = FasterRCNN(f"{name}_50", **{**SMALL, "channels": 8})
    assert model.strides == [4, 8, 16, 32]


@pytest.fixture(scope="module", params=BOTH_OR_THE_LARGER)
def overfitted(request):
    """A detector that knows its four images, these, the losses, and the Python passes a step."""
    keras.utils.set_random_seed(0)
    dataset, model = images(request.param), build(request.param)
    compiled(model, 0.04, steps=40, global_clipnorm=5.0)
    losses, passes = [], count_passes(model)
    # How soon depends on the backend's own random numbers.
    for _ in range(8):
        losses.append(model.fit(dataset, epochs=20, shuffle=False, verbose=0).history)
        metrics = evaluate_coco(model, dataset)
        if min(metrics["AP50"], metrics.get("mask_AP50", 1)) > 0.9:
            break
    return Overfitted(model, dataset, losses, metrics, passes)


Overfitted = namedtuple("Overfitted", "model dataset losses metrics passes")


def count_passes(model):
    """Returns a list that grows whenever Python goes through a step of training."""
    passes, step = [], model.train_step

    def counted(*args):
        passes.append("step")
        return step(*args)

    model.train_step = counted
    return passes


def test_overfits_four_images(overfitted):
    names = set(overfitted.model.LOSSES)
    for history in overfitted.losses:
        assert names | {"loss"} == history.keys()
        total = sum(history[name][-1] for name in names)
        np.testing.assert_allclose(history["loss"][-1], total, rtol=1e-4)
    assert overfitted.metrics["AP50"] > 0.9
    if isinstance(overfitted.model, MaskRCNN):
        assert overfitted.metrics["mask_AP50"] > 0.9


def test_batches_of_one_shape_are_one_program(overfitted):
    """No batch but the first goes through a step's Python, save on PyTorch, which compiles none."""
    # TensorFlow goes through a function that makes variables once more at first.
    expected = {"tensorflow": (1, 2), "jax": (1,), "torch": (20 * len(overfitted.losses),)}
    assert len(overfitted.passes) in expected[keras.backend.backend()]


@pytest.mark.parametrize("kind", BOTH_OR_THE_LARGER)
def test_the_same_on_every_backend(kind):
    """Boxes within 0.01 pixel, scores within 1e-4, in the same order."""
    with np.load(DATA / f"detections_{kind}.npz", allow_pickle=False) as stored:
        for data_format in ("channels_last", "channels_first"):
            model = build(kind, data_format)
            fill(model)
            found = model.predict_on_batch(images(kind, data_format=data_format)[0][0])
            assert found.keys() == set(stored)
            assert found["classes"].tolist() == stored["classes"].tolist()
            np.testing.assert_allclose(found["boxes"], stored["boxes"], atol=0.01)
            for name in found.keys() - {"boxes", "classes"}:
                np.testing.assert_allclose(found[name], stored[name], atol=1e-4)


def test_saved_and_loaded(overfitted, tmp_path):
    model, dataset = overfitted[:2]
    model.save(tmp_path / "detector.keras")
    loaded = keras.saving.load_model(tmp_path / "detector.keras", safe_mode=True)
    assert loaded.settings == model.settings
    assert trainable(loaded) == trainable(model)
    x = dataset[0][0]
    expected, found = model.predict_on_batch(x), loaded.predict_on_batch(x)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-5)
    pairs = zip(loaded.optimizer.variables, model.optimizer.variables, strict=True)
    assert all(np.array_equal(*map(ops.convert_to_numpy, pair)) for pair in pairs)


@on_pytorch
def test_a_loaded_detector_goes_on_training(tmp_path):
    model = compiled(build("mask_rcnn", frozen_stages=1, score_threshold=0.01, roi_window=8))
    dataset = images("mask_rcnn")
    model.fit(dataset, verbose=0)
    model.save(tmp_path / "detector.keras")
    loaded = keras.saving.load_model(tmp_path / "detector.keras", safe_mode=True)
    assert loaded.settings == model.settings
    assert trainable(loaded) == trainable(model)
    loaded.fit(dataset, verbose=0)
    assert int(ops.convert_to_numpy(loaded.optimizer.iterations)) == 2


def test_frozen_stages_and_norm_eval():
    """A step changes neither what is frozen nor, with `norm_eval`, a moving statistic."""
    model = build("faster_rcnn", frozen_stages=1, norm_eval=True)
    before = {weight.path: ops.convert_to_numpy(weight) for weight in model.backbone.weights}
    compiled(model)
    model.fit(shapes(), verbose=0)
    changed = {
        weight.path
        for weight in model.backbone.weights
        if not np.array_equal(ops.convert_to_numpy(weight), before[weight.path])
    }
    assert any("stage2" in path for path in changed)
    assert not any(path.startswith(("stem", "stage1")) for path in changed)
    assert not any("moving" in path for path in changed)


def test_evaluate_gives_the_losses_and_changes_nothing(overfitted):
    model, dataset = overfitted[:2]
    weights = model.get_weights()
    losses = model.evaluate(dataset, verbose=0, return_dict=True)
    assert set(model.LOSSES) | {"loss"} == losses.keys()
    pairs = zip(model.weights, weights, strict=True)
    assert all(
        np.array_equal(ops.convert_to_numpy(weight), before)
        for weight, before in pairs
        if "seed_generator" not in weight.path
    )


class WithoutObjects(keras.utils.PyDataset):
    """One batch through `fit()`, whose program there is already."""

    def __init__(self, dataset):
        super().__init__()
        self.x, y = dataset[0]
        self.y = {**y, "boxes": 0 * y["boxes"], "classes": np.full_like(y["classes"], -1)}

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return self.x, self.y


def test_images_without_objects(overfitted):
    history = overfitted.model.fit(WithoutObjects(overfitted.dataset), verbose=0).history
    losses = {name: values[-1] for name, values in history.items()}
    assert np.isfinite(list(losses.values())).all()
    assert losses["box_loss"] == losses["proposal_box_loss"] == 0


@on_tensorflow_and_pytorch
@pytest.mark.parametrize("policy", all_on_pytorch(["mixed_float16", "mixed_bfloat16"], 1))
def test_mixed_precision(policy):
    keras.utils.set_random_seed(0)
    kind = "mask_rcnn"  # which has all parts of Faster R-CNN
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = build(kind)
    finally:
        keras.config.set_dtype_policy(before)
    compiled(model)
    scales = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scales == (policy == "mixed_float16")
    x, y = images(kind)[0]
    kernel = model.box_head.logits.kernel
    before = ops.convert_to_numpy(kernel)
    # Keras leaves out a step whose scaled gradients overflow, and halves the scale of 2^15.
    for _ in range(16):
        assert np.isfinite(model.train_on_batch(x, y)).all()
        if not np.array_equal(ops.convert_to_numpy(kernel), before):
            break
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    assert not np.array_equal(ops.convert_to_numpy(kernel), before)
    found = model.predict_on_batch(x)
    assert found["boxes"].dtype == found["scores"].dtype == np.float32
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}


def without(y, *names):
    return {name: value for name, value in y.items() if name not in names}


# A detector, what is done to a batch for it, and the sentence.
BAD_BATCHES = {
    "no masks": (
        "mask_rcnn",
        lambda x, y: (x, without(y, "masks")),
        "`y` must be a dictionary of 'boxes', 'classes', 'masks' (`DetectionDataset` makes masks "
        "with `mask_size`), but has 'boxes', 'classes'.",
    ),
    "no classes": (
        "faster_rcnn",
        lambda x, y: (x, without(y, "classes")),
        "`y` must be a dictionary of 'boxes', 'classes', but has 'boxes'.",
    ),
    "no targets": (
        "faster_rcnn",
        lambda x, y: (x, None),
        "`y` must be a dictionary of 'boxes', 'classes', but is None.",
    ),
    "no sizes": (
        "faster_rcnn",
        lambda x, y: (without(x, "sizes"), y),
        "`x` must be a dictionary of 'images', 'sizes', but has 'images'.",
    ),
    "boxes of three numbers": (
        "faster_rcnn",
        lambda x, y: (x, {**y, "boxes": y["boxes"][..., :3]}),
        "`y['boxes']` must have the shape (batch, objects, 4), but has (4, 4, 3).",
    ),
    "classes with an axis more": (
        "faster_rcnn",
        lambda x, y: (x, {**y, "classes": y["classes"][..., None]}),
        "`y['classes']` must have the shape (batch, objects), but has (4, 4, 1).",
    ),
    "masks that are not square": (
        "mask_rcnn",
        lambda x, y: (x, {**y, "masks": y["masks"][..., :5]}),
        "`y['masks']` must have the shape (batch, objects, side, side), but has (4, 4, 28, 5).",
    ),
    "fewer boxes than classes": (
        "faster_rcnn",
        lambda x, y: (x, {**y, "boxes": y["boxes"][:, :3]}),
        "`y` must have the same number of objects in every entry, but has {'boxes': (4, 3, 4), "
        "'classes': (4, 4)}.",
    ),
}


@functools.cache
def refusing(kind):
    """A detector and a batch; it learns nothing from a batch that it refuses."""
    return compiled(build(kind)), images(kind)[0]


@pytest.mark.parametrize("method", ["train_on_batch", "test_on_batch"])
@pytest.mark.parametrize("fault", BAD_BATCHES)
def test_bad_batches(fault, method):
    kind, change, sentence = BAD_BATCHES[fault]
    model, batch = refusing(kind)
    x, y = change(*batch)
    with pytest.raises(ValueError) as caught:
        getattr(model, method)(x, y)
    assert str(caught.value) == sentence


def test_another_number_of_classes_is_one_sentence():
    """A third class would be learned as background, without a word."""
    model = compiled(build("faster_rcnn", classes=2))
    dataset = shapes()
    calls = {
        "x": [lambda: model.fit(dataset), lambda: model.evaluate(dataset)],
        "validation_data": [lambda: model.fit(None, validation_data=dataset)],
        "dataset": [lambda: evaluate_coco(model, dataset)],
    }
    for name, of_name in calls.items():
        for call in of_name:
            with pytest.raises(ValueError) as caught:
                call()
            assert str(caught.value) == (
                f"`{name}` must have as many classes as the detector, 2, but has 3."
            )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"classes": 0}, "`classes` must be an integer of at least 1, but is 0."),
        ({"proposals": 1.5}, "`proposals` must be an integer of at least 1, but is 1.5."),
        ({"iou_threshold": 2}, "`iou_threshold` must be at least 0 and less than 1, but is 2."),
        ({"frozen_stages": 7}, "`frozen_stages` must be one of 0, 1, 2, 3, but is 7."),
        ({"anchor_scale": -1}, "`anchor_scale` must be a positive number, but is -1."),
        ({"anchor_scale": "8"}, "`anchor_scale` must be a positive number, but is '8'."),
        ({"finest_scale": 0}, "`finest_scale` must be a positive number, but is 0."),
        ({"finest_scale": math.inf}, "`finest_scale` must be a positive number, but is inf."),
        ({"roi_window": 1}, "`roi_window` must be an integer of at least 2 or None, but is 1."),
        ({"data_format": "nchw"}, "`data_format` must be one of"),
    ],
)
def test_bad_arguments(arguments, sentence):
    with pytest.raises(ValueError) as caught:
        FasterRCNN(small_backbone(), **{**SMALL, **arguments})
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (np.zeros((1, 8, 64, 3), "float32"), "at least 16 pixels .* but are 8 x 64"),
        (np.zeros((1, 64, 3), "float32"), "`images` must be a batch .* with 4 axes"),
    ],
)
def test_bad_images(images, sentence):
    model = build("faster_rcnn", data_format="channels_last")
    with pytest.raises(ValueError, match=sentence):
        model({"images": images, "sizes": np.array([[40, 64]], "int32")})
