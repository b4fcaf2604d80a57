"""What is kept equals the greedy procedure, box by box, whatever the scores and boxes."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from keras_dla.detection.ops.non_maximum_suppression import (
    class_detections,
    non_maximum_suppression,
)
from tests.backends import all_on_pytorch
from tests.detection import reference
from tests.detection.compiled import compiled, eager
from tests.detection.draw import grid_boxes, random_boxes

SCORES = st.sampled_from([-np.inf, -2.0, 0.0, 0.25, 0.5, 1.0])
SUPPRESS = {
    threshold: compiled(lambda *x, t=threshold: non_maximum_suppression(*x[:2], t, 6, *x[2:]))
    for threshold in (0.0, 0.5, 0.7)
}


def check(found, boxes, scores, threshold, classes=None):
    indices, valid = found
    assert indices.dtype == "int32" and valid.dtype == "bool"
    for image in range(len(boxes)):
        of_image = None if classes is None else classes[image]
        kept = reference.suppress(boxes[image], scores[image], threshold, of_image)
        kept = kept[: indices.shape[1]]
        padding = indices.shape[1] - len(kept)
        assert valid[image].tolist() == [True] * len(kept) + [False] * padding
        assert indices[image].tolist() == kept + [0] * padding


@pytest.mark.parametrize("threshold", all_on_pytorch([0.5, 0.0, 0.7], 1))
@settings(max_examples=60, deadline=None)
@given(boxes=grid_boxes(2, 9), scores=arrays("float32", (2, 9), elements=SCORES))
def test_equal_the_reference_with_ties_and_empty_boxes(threshold, boxes, scores):
    check(SUPPRESS[threshold](boxes, scores), boxes, scores, threshold)


@settings(max_examples=40, deadline=None)
@given(
    boxes=grid_boxes(2, 9),
    scores=arrays("float32", (2, 9), elements=SCORES),
    classes=arrays("int32", (2, 9), elements=st.integers(0, 2)),
    valid=arrays("bool", (2, 9), elements=st.booleans()),
)
def test_classes_do_not_meet_and_others_than_valid_do_not_count(boxes, scores, classes, valid):
    found = SUPPRESS[0.5](boxes, scores, classes, valid)
    check(found, boxes, np.where(valid, scores, -np.inf), 0.5, classes)


# Fewer than a block of 128, just one, and several, the last one full or not.
@pytest.mark.parametrize("number", all_on_pytorch([129, 1, 127, 128, 384, 500], 2))
def test_any_number_of_boxes(number):
    rng = np.random.default_rng(number)
    boxes = random_boxes(rng, (2, number), size=60.0)
    scores = rng.normal(size=(2, number)).round(1).astype("float32")
    found = compiled(lambda *x: non_maximum_suppression(*x, 0.3, 200))(boxes, scores)
    check(found, boxes, scores, 0.3)


MODES_AND_OUTPUTS = [(compiled, 30), (compiled, 400), (eager, 1), (eager, 400)]


@pytest.mark.parametrize(("mode", "max_outputs"), MODES_AND_OUTPUTS)
def test_more_or_fewer_outputs_than_boxes(mode, max_outputs):
    rng = np.random.default_rng(0)
    boxes = random_boxes(rng, (3, 300), size=200.0)
    scores = rng.uniform(size=(3, 300)).astype("float32")
    # Groups end after different numbers of blocks.
    scores[1, 5:] = -np.inf
    scores[2, :] = -np.inf
    found = mode(lambda *x: non_maximum_suppression(*x, 0.5, max_outputs))(boxes, scores)
    check(found, boxes, scores, 0.5)


def test_a_chain_in_which_every_box_decides_the_next():
    start = np.arange(300, dtype="float32") * 4
    boxes = np.stack([start, 0 * start, start + 10, 0 * start + 10], axis=-1)[None]
    scores = -start[None] / 1000
    found = compiled(lambda *x: non_maximum_suppression(*x, 0.4, 300))(boxes, scores)
    assert found[0][0, :150].tolist() == list(range(0, 300, 2)) and found[1].sum() == 150


def test_equal_boxes_leave_one():
    boxes = np.broadcast_to(np.array([1, 1, 5, 5], "float32"), (1, 200, 4))
    scores = np.full((1, 200), 0.5, "float32")
    scores[0, 100] = 0.75
    indices, valid = compiled(lambda *x: non_maximum_suppression(*x, 0.5, 3))(boxes, scores)
    assert indices.tolist() == [[100, 0, 0]] and valid.tolist() == [[True, False, False]]


def test_nan_is_never_kept():
    boxes = np.array([[[0, 0, 9, 9], [0, 0, 9, 9], [0, 0, 9, 9]]], "float32")
    scores = np.array([[np.nan, -np.inf, 0.5]], "float32")
    indices, valid = compiled(lambda *x: non_maximum_suppression(*x, 0.5, 2))(boxes, scores)
    assert indices.tolist() == [[2, 0]] and valid.tolist() == [[True, False]]


@pytest.mark.parametrize("mode", [eager, compiled])
def test_no_boxes(mode):
    boxes, scores = np.zeros((2, 0, 4), "float32"), np.zeros((2, 0), "float32")
    indices, valid = mode(lambda *x: non_maximum_suppression(*x, 0.5, 3))(boxes, scores)
    assert indices.tolist() == [[0] * 3] * 2 and not valid.any()


def detected(boxes, scores, score_threshold, iou_threshold, max_detections):
    """MMDetection's procedure for one image: class by class, then the best of all."""
    found = []
    for c in range(scores.shape[1]):
        of_class = boxes[:, min(c, boxes.shape[1] - 1)]
        passing = np.where(scores[:, c] > score_threshold, scores[:, c], -np.inf)
        kept = reference.suppress(of_class, passing, iou_threshold)
        found += [(scores[n, c], n, c, of_class[n]) for n in kept]
    found.sort(key=lambda one: (-one[0], one[1], one[2]))
    return found[:max_detections]


def check_detections(found, boxes, scores, score_threshold, iou_threshold, max_detections):
    assert found["boxes"].shape == (len(boxes), max_detections, 4)
    for image in range(len(boxes)):
        expected = detected(
            boxes[image], scores[image], score_threshold, iou_threshold, max_detections
        )
        number = len(expected)
        columns = list(zip(*expected, strict=True)) or [[], [], [], np.zeros((0, 4))]
        for name, column in zip(("scores", "sources", "classes", "boxes"), columns, strict=True):
            np.testing.assert_array_equal(found[name][image, :number], column)
            rest = -1 if name == "classes" else 0
            assert (found[name][image, number:] == rest).all()


@pytest.mark.parametrize(("mode", "boxes_per_proposal"), [(eager, 1), (compiled, 4)])
def test_detections_equal_the_reference(mode, boxes_per_proposal):
    rng = np.random.default_rng(1)
    boxes = random_boxes(rng, (2, 60, boxes_per_proposal), size=80.0)
    scores = (rng.uniform(size=(2, 60, 4)) ** 3).round(2).astype("float32")
    found = mode(lambda *x: class_detections(*x, 0.3, 0.4, 50))(boxes, scores)
    assert {name: x.dtype.name for name, x in found.items()} == {
        "boxes": "float32",
        "scores": "float32",
        "classes": "int32",
        "sources": "int32",
    }
    check_detections(found, boxes, scores, 0.3, 0.4, 50)


DETECT = compiled(lambda *x: class_detections(*x, 0.25, 0.5, 5, candidates=12))


@settings(max_examples=40, deadline=None)
@given(
    boxes=grid_boxes(2, 6, 1),
    scores=arrays("float32", (2, 6, 2), elements=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])),
)
def test_detections_of_equal_scores_and_boxes(boxes, scores):
    check_detections(DETECT(boxes, scores), boxes, scores, 0.25, 0.5, 5)


def test_fewer_candidates_are_the_likeliest():
    boxes = random_boxes(np.random.default_rng(2), (1, 40, 1), size=2000.0)
    scores = np.linspace(0.1, 1, 40, dtype="float32").reshape(1, 40, 1)
    found = compiled(lambda *x: class_detections(*x, 0.0, 0.9, 20, candidates=10))(boxes, scores)
    assert found["sources"][0, :10].tolist() == list(range(39, 29, -1))
    assert (found["classes"][0, 10:] == -1).all()


@pytest.mark.parametrize("number", [0, 3])
def test_no_detections(number):
    boxes = np.ones((2, number, 1, 4), "float32")
    scores = np.full((2, number, 3), np.nan, "float32")
    found = compiled(class_detections)(boxes, scores)
    assert (found["classes"] == -1).all() and found["boxes"].shape == (2, 100, 4)
    assert not any(np.any(found[name]) for name in ("boxes", "scores", "sources"))


def test_in_a_model():
    class Detections(keras.layers.Layer):
        def call(self, boxes, scores):
            return class_detections(boxes, scores, 0.3, 0.4, 10)

    inputs = keras.Input((20, 4, 4)), keras.Input((20, 4))
    model = keras.Model(inputs, Detections()(*inputs))
    assert model.output["boxes"].shape == (None, 10, 4)
    model.compile()
    rng = np.random.default_rng(3)
    boxes = random_boxes(rng, (3, 20, 4), size=80.0)
    scores = rng.uniform(size=(3, 20, 4)).astype("float32")
    found = model.predict_on_batch((boxes, scores))
    check_detections(found, boxes, scores, 0.3, 0.4, 10)


def test_other_arguments_are_refused():
    boxes, scores = np.zeros((1, 3, 4), "float32"), np.zeros((1, 3), "float32")
    with pytest.raises(ValueError, match="`iou_threshold` must be from 0 to 1, but is"):
        non_maximum_suppression(boxes, scores, 1.5, 2)
    with pytest.raises(ValueError, match="`max_outputs` must be an integer of at least 1"):
        non_maximum_suppression(boxes, scores, 0.5, 0)
    with pytest.raises(ValueError, match="`boxes` must be"):
        class_detections(boxes[:, :, None], np.zeros((1, 2, 5), "float32"))
    with pytest.raises(ValueError, match="`candidates` must be an integer of at least 1"):
        class_detections(boxes[:, :, None], scores[..., None], candidates=0)
