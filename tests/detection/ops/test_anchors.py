"""Anchors equal MMDetection's, one by one and in its order."""

import math

import numpy as np
import pytest

from keras_dla.detection.ops.anchors import level_anchors


def anchors_one_by_one(shape, stride, scale, ratios):
    anchors = []
    for row in range(shape[0]):
        for column in range(shape[1]):
            for ratio in ratios:
                width = stride * scale / math.sqrt(ratio)
                height = stride * scale * math.sqrt(ratio)
                x, y = column * stride, row * stride
                anchors.append([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
    return anchors


@pytest.mark.parametrize("stride", [4, 8, 16, 32, 64])
def test_equal_the_reference(stride):
    anchors = level_anchors((5, 7), stride)
    assert anchors.shape == (105, 4) and anchors.dtype == "float32"
    np.testing.assert_allclose(
        anchors, anchors_one_by_one((5, 7), stride, 8, (0.5, 1, 2)), rtol=1e-6, atol=1e-4
    )


def test_the_example_of_mmdetection():
    expected = [[-4.5, -4.5, 4.5, 4.5], [11.5, -4.5, 20.5, 4.5]]
    expected += [[-4.5, 11.5, 4.5, 20.5], [11.5, 11.5, 20.5, 20.5]]
    assert level_anchors((2, 2), 16, scale=9 / 16, ratios=[1.0]).tolist() == expected


def test_changed_anchors_are_the_changer_s_own():
    before = level_anchors((2, 3), 8)
    level_anchors((2, 3), 8)[:] = 0
    np.testing.assert_array_equal(level_anchors((2, 3), 8), before)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (((0, 2), 4), "shape"),
        (((2, None), 4), "shape"),
        (((2, 2), 0), "stride"),
        (((2, 2), 4, 0), "scale"),
        (((2, 2), 4, 8, ()), "ratios"),
        (((2, 2), 4, 8, (1, -1)), "ratios"),
    ],
)
def test_other_arguments_are_refused(arguments, name):
    with pytest.raises(ValueError, match=rf"`{name}.*` must be"):
        level_anchors(*arguments)
