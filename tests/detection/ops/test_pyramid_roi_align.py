import math

import numpy as np
import pytest
from keras import ops

from keras_dla.detection.ops.roi_align import box_levels, pyramid_roi_align
from tests.detection.ops.roi_reference import (
    FORMATS,
    Cropping,
    assert_close,
    box_weights,
    compiled,
    crop,
    random_features,
    to_channels_last,
    to_format,
    value_and_gradient,
)
from tests.gradients import gradients

PYRAMID = ((4, (24, 32)), (8, (12, 16)), (16, (6, 8)), (32, (3, 4)))


def pyramid_boxes():
    rng = np.random.default_rng(3)
    scale = np.exp(rng.uniform(np.log(2), np.log(250), (2, 24)))
    ratio = np.exp(rng.normal(0, 0.5, (2, 24)))
    width, height = scale * ratio, scale / ratio
    x, y = rng.uniform(0, 128, (2, 24)), rng.uniform(0, 96, (2, 24))
    boxes = np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], -1)
    boxes[:, 0] = 0
    return boxes.astype("float32")


def level_of(box, finest_scale, levels):
    """MMDetection's `map_roi_levels`."""
    scale = math.sqrt(max((box[2] - box[0]) * (box[3] - box[1]), 0))
    return min(max(math.floor(math.log2(scale / finest_scale + 1e-6)), 0), levels - 1)


def aligned_by_level(maps, boxes, output_size, finest_scale):
    """One RoIAlign a level, each box from its own: `[batch, number, out, out, channels]`."""
    outputs = []
    for image, part in enumerate(boxes):
        for box in part:
            level = level_of(box, finest_scale, len(maps))
            stride, size = PYRAMID[level]
            weights = box_weights(box, stride, size, output_size)
            outputs.append(np.einsum("ijyx,yxc->ijc", weights, maps[level][image]))
    return np.reshape(outputs, (*boxes.shape[:2], output_size, output_size, -1))


@pytest.mark.parametrize("data_format", FORMATS)
def test_pyramid(data_format):
    boxes = pyramid_boxes()
    levels = {level_of(box, 14, 4) for box in boxes.reshape(-1, 4)}
    assert levels == {0, 1, 2, 3}
    maps = [random_features(2, *size, 3) for _, size in PYRAMID]
    inputs = [ops.convert_to_tensor(to_format(level, data_format)) for level in maps]
    strides = [stride for stride, _ in PYRAMID]

    @compiled
    def run(maps, boxes):
        return pyramid_roi_align(maps, boxes, strides, 7, finest_scale=14, data_format=data_format)

    outputs = run(inputs, ops.convert_to_tensor(boxes))
    assert_close(to_channels_last(outputs, data_format), aligned_by_level(maps, boxes, 7, 14))


@pytest.mark.parametrize("data_format", FORMATS)
def test_pyramid_gradients(data_format):
    """By all levels at once: every level is a part of one input."""
    boxes = pyramid_boxes()
    strides = [stride for stride, _ in PYRAMID]

    def run(inputs):
        first = data_format == "channels_first"
        maps = [
            inputs[:, :, :height, :width] if first else inputs[:, :height, :width]
            for _, (height, width) in PYRAMID
        ]
        kwargs = {"align": pyramid_roi_align, "data_format": data_format}
        return crop(maps, boxes, strides, 2, 14, **kwargs)

    features = random_features(2, *PYRAMID[0][1], 3)
    cotangent = random_features(2, 24, 2, 2, 3)
    _, gradient, _ = gradients(
        Cropping(run), to_format(features, data_format), to_format(cotangent, data_format)
    )
    expected = np.zeros(features.shape)
    for image, part in enumerate(boxes):
        for n, box in enumerate(part):
            stride, (height, width) = PYRAMID[level_of(box, 14, 4)]
            weights = box_weights(box, stride, (height, width), 2)
            share = np.einsum("ijyx,ijc->yxc", weights, cotangent[image, n])
            expected[image, :height, :width] += share
    assert_close(to_channels_last(gradient, data_format), expected)


@pytest.mark.parametrize("upright", [False, True])
def test_large_boxes_of_the_last_level_are_exact(upright):
    """An image of 800 x 1344 has 25 x 42 cells there, more than a window of 32."""
    strides, sizes = (4, 8, 16, 32), [(200, 336), (100, 168), (50, 84), (25, 42)]
    boxes = np.array(
        [[(0, 0, 1344, 800), (-20, 300, 1350, 520), (100.5, 9, 1310, 790), (700, 2, 1040, 340)]],
        "float32",
    )
    if upright:
        sizes, boxes = [size[::-1] for size in sizes], boxes[..., [1, 0, 3, 2]]
    levels = [level_of(box, 56, 4) for box in boxes[0]]
    assert levels == [3, 3, 3, 2]
    maps = [random_features(1, *size, 2) for size in sizes]
    crops = crop(maps, boxes, strides, 7, align=pyramid_roi_align)
    for box, level, found in zip(boxes[0], levels, ops.convert_to_numpy(crops)[0], strict=True):
        weights = box_weights(box, strides[level], sizes[level], 7, window=100)
        assert_close(found, np.einsum("ijyx,yxc->ijc", weights, maps[level][0]))


def test_long_boxes_of_every_level_are_exact():
    """More of them than a block holds, so that each window is met, and gradients as well."""
    strides, sizes = (4, 8, 16, 32), [(100, 168), (50, 84), (25, 42), (13, 21)]
    rng = np.random.default_rng(4)
    scale = np.exp(rng.uniform(np.log(8), np.log(400), (1, 90)))
    ratio = np.exp(rng.uniform(-2.5, 2.5, (1, 90)))
    centre = rng.uniform((0, 0), (672, 400), (1, 90, 2))
    half = np.stack([scale * ratio, scale / ratio], -1) / 2
    boxes = np.concatenate([centre - half, centre + half], -1).astype("float32")
    boxes[0, 0] = 0, 100, 672, 107
    maps = [random_features(1, *size, 2) for size in sizes]

    def run(finest):
        others = [ops.convert_to_tensor(level) for level in maps[1:]]
        return pyramid_roi_align([finest, *others], boxes, strides, 7, data_format="channels_last")

    cotangent = random_features(1, 90, 7, 7, 2)
    # All in one program, as in a training step: XLA takes not every gradient of a loop.
    program = compiled(lambda finest: value_and_gradient(run, finest, cotangent))
    crops, gradient = program(ops.convert_to_tensor(maps[0]))
    expected = np.zeros(maps[0].shape)
    for n, box in enumerate(boxes[0]):
        level = level_of(box, 56, 4)
        weights = box_weights(box, strides[level], sizes[level], 7, window=1000)
        crop_of_box = np.einsum("ijyx,yxc->ijc", weights, maps[level][0])
        # A place in cells has an error of 1e-5 in float32 where there are hundreds of them.
        found = ops.convert_to_numpy(crops)[0, n]
        np.testing.assert_allclose(found, crop_of_box, rtol=0, atol=5e-5)
        if level == 0:
            expected[0] += np.einsum("ijyx,ijc->yxc", weights, cotangent[0, n])
    np.testing.assert_allclose(ops.convert_to_numpy(gradient), expected, rtol=0, atol=1e-4)


def test_levels():
    sides = np.array([0, 3, 55, 111.9, 112.1, 223.9, 224.1, 447.9, 448.1, 2000], "float32")
    boxes = np.stack([sides * 0, sides * 0, sides * 2, sides / 2], -1)[None]
    levels = ops.convert_to_numpy(box_levels(boxes, 4))
    assert levels.tolist() == [[0, 0, 0, 0, 1, 1, 2, 2, 3, 3]]
