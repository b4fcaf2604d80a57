"""Assignments equal MMDetection's rules, written out target by target."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from keras_dla.detection.ops.box_matcher import match_boxes
from tests.detection import reference
from tests.detection.compiled import compiled, eager
from tests.detection.draw import grid_boxes, random_boxes
from tests.gradients import gradients

# Positive, negative, minimum, low quality: of the RPN, the box head, RetinaNet, and one odd one.
RULES = {
    "rpn": (0.7, 0.3, 0.3, True),
    "head": (0.5, 0.5, 0.5, False),
    "retinanet": (0.5, 0.4, 0.0, True),
    "apart": (0.6, 0.2, 0.4, True),
}
ASSIGN = {
    name: compiled(lambda *x, rules=rules: match_boxes(*x, *rules)) for name, rules in RULES.items()
}


def assigned(boxes, targets, valid, positive, negative, minimum, low_quality):
    """One image."""
    table = reference.overlaps(boxes, targets)
    there = [g for g in range(len(targets)) if valid[g]]
    matches = np.full(len(boxes), -2)
    for i in range(len(boxes)):
        best = max([table[i, g] for g in there], default=0.0)
        if best < negative:
            matches[i] = -1
        elif best >= positive:
            matches[i] = next(g for g in there if table[i, g] == best)
    for g in there if low_quality else ():
        # Unlike MMDetection's, an object that overlaps no box at all does not take them all.
        best = max(table[:, g], default=0.0)
        if best >= minimum and best > 0:
            matches[table[:, g] == best] = g
    return matches


@pytest.mark.parametrize("rules", RULES)
@settings(max_examples=60, deadline=None)
@given(
    boxes=grid_boxes(2, 12),
    targets=grid_boxes(2, 5),
    valid=arrays("bool", (2, 5), elements=st.booleans()),
)
def test_equal_the_reference_with_ties_and_empty_boxes(rules, boxes, targets, valid):
    matches = ASSIGN[rules](boxes, targets, valid)
    assert matches.dtype == "int32"
    for image in range(2):
        expected = assigned(boxes[image], targets[image], valid[image], *RULES[rules])
        np.testing.assert_array_equal(matches[image], expected)


@pytest.mark.parametrize("mode", [eager, compiled])
@pytest.mark.parametrize("rules", ["rpn", "head"])
def test_equal_the_reference_for_boxes_of_any_size(mode, rules):
    rng = np.random.default_rng(0)
    boxes, targets = random_boxes(rng, (2, 300)), random_boxes(rng, (2, 20))
    valid = rng.uniform(size=(2, 20)) < 0.6
    matches = mode(lambda *x: match_boxes(*x, *RULES[rules]))(boxes, targets, valid)
    for image in range(2):
        expected = assigned(boxes[image], targets[image], valid[image], *RULES[rules])
        np.testing.assert_array_equal(matches[image], expected)
    assert len(set(matches.flatten().tolist())) > 5


def test_anchors_may_be_given_once_for_all_images():
    rng = np.random.default_rng(1)
    boxes, targets = random_boxes(rng, (40,)), random_boxes(rng, (3, 4))
    valid = np.ones((3, 4), "bool")

    def assign(targets, valid):
        return match_boxes(boxes, targets, valid, *RULES["rpn"])

    each = ASSIGN["rpn"](np.stack([boxes] * 3), targets, valid)
    np.testing.assert_array_equal(compiled(assign)(targets, valid), each)


def test_of_two_objects_with_equal_best_boxes_the_later_one_wins():
    boxes = np.array([[[0, 0, 8, 8], [0, 0, 8, 4]]], "float32")
    targets = np.array([[[0, 0, 8, 8], [0, 0, 8, 8]]], "float32")
    valid = np.ones((1, 2), "bool")
    assert ASSIGN["head"](boxes, targets, valid)[0, 0] == 0
    assert ASSIGN["rpn"](boxes, targets, valid).tolist() == [[1, -2]]


@pytest.mark.parametrize("rules", RULES)
def test_no_objects_and_no_boxes(rules):
    rng = np.random.default_rng(2)
    boxes, targets = random_boxes(rng, (2, 6)), random_boxes(rng, (2, 3))
    nothing = np.zeros((2, 3), "bool")
    assert (ASSIGN[rules](boxes, targets, nothing) == -1).all()
    without = eager(lambda *x: match_boxes(*x, *RULES[rules]))
    assert (without(boxes, targets[:, :0], nothing[:, :0]) == -1).all()
    assert without(boxes[:, :0], targets, ~nothing).shape == (2, 0)


@pytest.mark.parametrize("rules", RULES)
def test_boxes_that_are_not_usable_are_as_if_they_were_not_there(rules):
    rng = np.random.default_rng(4)
    boxes = random_boxes(rng, (100,))
    targets = boxes[rng.choice(100, (2, 8))] + rng.normal(0, 1, (2, 8, 4)).astype("float32")
    valid, usable = rng.uniform(size=(2, 8)) < 0.8, rng.uniform(size=(2, 100)) < 0.5

    def assign(targets, valid, usable):
        return match_boxes(boxes, targets, valid, *RULES[rules], usable=usable)

    matches = compiled(assign)(targets, valid, usable)
    assert (matches[~usable] == -2).all()
    for image in range(2):
        expected = assigned(boxes[usable[image]], targets[image], valid[image], *RULES[rules])
        np.testing.assert_array_equal(matches[image][usable[image]], expected)
        assert (expected >= 0).any()


class Assignment(keras.layers.Layer):
    """Boxes that take part in a loss, and their assignment, which does not."""

    def call(self, x):
        valid = keras.ops.ones_like(x[:, :2, 0])
        matches = match_boxes(x[:, 2:], x[:, :2], valid, *RULES["rpn"])
        return x[:, 2:, 0] + keras.ops.cast(matches, "float32")


def test_in_a_model_without_gradients_of_its_own():
    boxes = random_boxes(np.random.default_rng(3), (2, 9))
    inputs = keras.Input((9, 4))
    model = keras.Model(inputs, Assignment()(inputs))
    output, grad, _ = gradients(model, boxes, np.ones((2, 7), "float32"))
    matches = ASSIGN["rpn"](boxes[:, 2:], boxes[:, :2], np.ones((2, 2), "bool"))
    np.testing.assert_allclose(output - boxes[:, 2:, 0], matches, atol=1e-4)
    assert grad.sum() == 14


@pytest.mark.parametrize(
    "rules", [(0.3, 0.7, 0.3), (0.5, 0.0, 0.3), (1.5, 0.5, 0.3), (0.5, 0.5, -1)]
)
def test_other_thresholds_are_refused(rules):
    boxes, valid = np.zeros((1, 2, 4), "float32"), np.zeros((1, 2), "bool")
    with pytest.raises(ValueError, match="`negative`, `positive` and `minimum` must be"):
        match_boxes(boxes, boxes, valid, *rules)
