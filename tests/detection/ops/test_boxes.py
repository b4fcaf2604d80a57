"""Areas and overlaps equal those computed box by box, with gradients, for all sorts of boxes."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings

from keras_dla.detection.ops.boxes import (
    box_area,
    clip_boxes,
    elementwise_overlap,
    intersection_over_union,
)
from tests.detection import reference
from tests.detection.compiled import compiled, eager
from tests.detection.draw import grid_boxes, random_boxes
from tests.gradients import differences, gradients

OVERLAPS = compiled(intersection_over_union)


def test_areas_equal_the_reference():
    boxes = random_boxes(np.random.default_rng(0), (40,))
    expected = [reference.area(box) for box in boxes]
    assert 0 < np.count_nonzero(expected) < 40
    np.testing.assert_allclose(eager(box_area)(boxes), expected, rtol=1e-5)


@pytest.mark.parametrize("mode", [eager, compiled])
def test_overlaps_equal_the_reference(mode):
    rng = np.random.default_rng(1)
    a, b = random_boxes(rng, (2, 30)), random_boxes(rng, (2, 20))
    overlaps = mode(intersection_over_union)(a, b)
    expected = np.stack([reference.overlaps(x, y) for x, y in zip(a, b, strict=True)])
    assert overlaps.dtype == "float32"
    np.testing.assert_allclose(overlaps, expected, atol=1e-5)
    np.testing.assert_array_equal(
        mode(elementwise_overlap)(a[:, :20], b), overlaps[:, range(20), range(20)]
    )


@settings(max_examples=50, deadline=None)
@given(grid_boxes(1, 6), grid_boxes(1, 4))
def test_overlaps_of_equal_touching_and_empty_boxes(a, b):
    np.testing.assert_allclose(OVERLAPS(a, b)[0], reference.overlaps(a[0], b[0]), rtol=1e-6)


def test_no_boxes():
    none, some = np.zeros((1, 0, 4), "float32"), np.zeros((1, 3, 4), "float32")
    assert eager(intersection_over_union)(none, some).shape == (1, 0, 3)
    assert eager(intersection_over_union)(some, none).shape == (1, 3, 0)
    assert eager(box_area)(none).shape == (1, 0)


def test_half_precision_is_computed_in_single():
    box = np.array([[0, 0, 1000, 1000]], "float16")
    assert eager(intersection_over_union)(box, box).tolist() == [[1.0]]


@pytest.mark.parametrize("shape", [(), (5,), (5, 3)])
def test_boxes_are_clipped_to_their_own_image(shape):
    boxes = random_boxes(np.random.default_rng(2), (2, *shape), size=200.0)
    sizes = np.array([[50, 120], [90, 70]], "int32")
    clipped = compiled(clip_boxes)(boxes, sizes)
    for one, before, (height, width) in zip(clipped, boxes, sizes, strict=True):
        np.testing.assert_array_equal(one, np.clip(before, 0, [width, height, width, height]))


class Overlaps(keras.layers.Layer):
    def call(self, x):
        return intersection_over_union(x[:, :2], x[:, 2:])


def _model():
    inputs = keras.Input((5, 4))
    return keras.Model(inputs, Overlaps()(inputs))


def test_gradients_equal_finite_differences():
    boxes = np.array([[0, 0, 10, 8], [3, 2, 9, 12], [1, 1, 8, 9], [20, 20, 30, 30], [4, 3, 6, 5]])
    boxes = boxes.astype("float64")
    cotangent = np.random.default_rng(3).normal(size=(1, 2, 3))

    expected = differences(lambda: reference.overlaps(boxes[:2], boxes[2:]), boxes, cotangent[0])
    _, grad, _ = gradients(_model(), boxes[None].astype("float32"), cotangent.astype("float32"))
    np.testing.assert_allclose(grad[0], expected, atol=1e-6)


def test_gradients_of_boxes_without_area_are_finite():
    boxes = np.array([[0, 0, 0, 0], [5, 5, 3, 3], [0, 0, 0, 0], [4, 4, 4, 9], [1, 1, 3, 3]])
    _, grad, _ = gradients(_model(), boxes[None].astype("float32"), np.ones((1, 2, 3), "float32"))
    assert np.isfinite(grad).all()
