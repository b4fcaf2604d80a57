import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_dla.detection.ops.roi_align import box_levels, pyramid_roi_align, roi_align
from tests.gradients import gradients

FORMATS = ["channels_last", "channels_first"]


def samples_of(start, end, output_size):
    """MMCV's sampling points of one side, bin by bin, with `sampling_ratio=0`."""
    bin_size = (end - start) / output_size
    count = max(math.ceil(bin_size), 0)
    return [
        [start + i * bin_size + (k + 0.5) * bin_size / count for k in range(count)]
        for i in range(output_size)
    ]


def read_rows(samples, size, window):
    """The first row that a side reads, and the distance to the next."""
    reached = [min(max(y, -1), size) for part in (samples[0], samples[-1]) for y in part]
    if not reached:
        return 0, 1
    low, high = math.floor(reached[0]), min(math.floor(reached[-1]) + 1, size)
    return low, max(math.ceil((high - low) / (window - 1)), 1)


def neighbours(y, size, low, pace):
    """MMCV's bilinear interpolation along one side: pairs of a row and its weight."""
    if y < -1 or y > size:
        return []
    if pace == 1:
        y = min(max(y, 0), size - 1)
        before = min(int(y), size - 2) if size > 1 else 0
    else:
        before = low + pace * math.floor((y - low) / pace)
    weight = (y - before) / pace
    pairs = [(before, 1 - weight), (before + pace, weight)]
    return [(min(max(row, 0), size - 1), weight) for row, weight in pairs]


def side_weights(start, end, size, output_size, window):
    """`[output_size, size]`: MMCV's loop over bins and samples along one side, in float64."""
    weights = np.zeros((output_size, size))
    samples = samples_of(start, end, output_size)
    low, pace = read_rows(samples, size, window)
    for i, part in enumerate(samples):
        for y in part:
            for row, weight in neighbours(y, size, low, pace):
                weights[i, row] += weight / len(part)
    return weights


def box_weights(box, stride, size, output_size, window=32):
    """`[out, out, height, width]`: what each cell contributes to each bin of one box."""
    x1, y1, x2, y2 = np.asarray(box, "float64") / stride - 0.5
    rows = side_weights(y1, y2, size[0], output_size, window)
    columns = side_weights(x1, x2, size[1], output_size, window)
    return np.einsum("iy,jx->ijyx", rows, columns)


def mmcv_roi_align(features, box, stride, output_size):
    """MMCV's kernel as it is written, two sides at once: `[out, out, channels]`."""
    height, width, channels = features.shape
    x1, y1, x2, y2 = np.asarray(box, "float64") / stride - 0.5
    rows, columns = samples_of(y1, y2, output_size), samples_of(x1, x2, output_size)
    outputs = np.zeros((output_size, output_size, channels))
    for i, ys in enumerate(rows):
        for j, xs in enumerate(columns):
            for y in ys:
                for x in xs:
                    outputs[i, j] += bilinear(features, y, x, height, width)
            outputs[i, j] /= max(len(ys) * len(xs), 1)
    return outputs


def bilinear(features, y, x, height, width):
    if y < -1 or y > height or x < -1 or x > width:
        return 0.0
    y, x = max(y, 0.0), max(x, 0.0)
    y_low, x_low = int(y), int(x)
    y_high, x_high = y_low + 1, x_low + 1
    if y_low >= height - 1:
        y = y_low = y_high = height - 1
    if x_low >= width - 1:
        x = x_low = x_high = width - 1
    ly, lx = y - y_low, x - x_low
    return (
        (1 - ly) * (1 - lx) * features[y_low, x_low]
        + (1 - ly) * lx * features[y_low, x_high]
        + ly * (1 - lx) * features[y_high, x_low]
        + ly * lx * features[y_high, x_high]
    )


SIZE = (20, 26)
STRIDE = 4
# In pixels of an image of 80 x 104.
BOXES = {
    "inside": (8.3, 12.1, 61.7, 70.9),
    "whole cells": (8, 8, 36, 36),
    "whole image": (0, 0, 104, 80),
    "left and top of it": (-30.2, -11.3, 25.1, 33.4),
    "right and bottom of it": (80.6, 50.2, 140.8, 95.1),
    "around it": (-9, -14, 111, 90),
    "outside": (-60, -60, -20, -20),
    "beyond": (130, 100, 150, 120),
    "along the border": (0, 0, 3, 80),
    "last cell": (100, 76, 104, 80),
    "less than a cell": (33.1, 22.7, 34.2, 23.1),
    "no area": (20, 20, 20, 20),
    "no width": (20, 20, 20, 60),
    "turned over": (60, 60, 20, 20),
    "padding": (0, 0, 0, 0),
    "flat": (3.3, 40.1, 100.9, 42.3),
}


def to_format(x, data_format):
    return x if data_format == "channels_last" else np.moveaxis(x, -1, -3)


def to_channels_last(x, data_format):
    x = ops.convert_to_numpy(x)
    return x if data_format == "channels_last" else np.moveaxis(x, -3, -1)


def assert_close(actual, expected):
    scale = np.abs(expected).max(initial=1e-30)
    np.testing.assert_allclose(actual / scale, expected / scale, rtol=0, atol=1e-5)


def random_features(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def compiled(function):
    """`function` of arrays, compiled by XLA where the backend has it."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=True)
    return function


def crop(features, boxes, *args, align=roi_align, data_format="channels_last", **kwargs):
    """RoIAlign of arrays; compiled on JAX, which would compile every operation otherwise."""

    def run(features, boxes):
        return align(features, boxes, *args, data_format=data_format, **kwargs)

    return (compiled(run) if keras.backend.backend() == "jax" else run)(features, boxes)


class Cropping(keras.layers.Layer):
    """A function as a layer, whose gradients can be taken."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.built = True

    def call(self, inputs, training=None):
        return self.function(inputs)


def test_the_transcription_is_separable():
    features = random_features(*SIZE, 2).astype("float64")
    for box in BOXES.values():
        weights = box_weights(box, STRIDE, SIZE, 3)
        direct = mmcv_roi_align(features, box, STRIDE, 3)
        np.testing.assert_allclose(np.einsum("ijyx,yxc->ijc", weights, features), direct, atol=1e-9)


@pytest.mark.parametrize(
    ("output_size", "data_format"), [(1, FORMATS[0]), (7, FORMATS[1]), (14, FORMATS[0])]
)
def test_values_and_gradients(output_size, data_format):
    features = random_features(2, *SIZE, 3)
    boxes = np.array([list(BOXES.values()), list(BOXES.values())[::-1]], "float32")
    weights = np.array(
        [[box_weights(box, STRIDE, SIZE, output_size) for box in part] for part in boxes]
    )
    rng = np.random.default_rng(1)
    cotangent = rng.normal(size=(*boxes.shape[:2], output_size, output_size, 3)).astype("float32")
    layer = Cropping(lambda x: crop(x, boxes, STRIDE, output_size, data_format=data_format))
    outputs, gradient, _ = gradients(
        layer, to_format(features, data_format), to_format(cotangent, data_format)
    )
    outputs = to_channels_last(outputs, data_format)
    expected = np.einsum("brijyx,byxc->brijc", weights, features)
    for n, name in enumerate(BOXES):
        assert np.abs(outputs[0, n] - expected[0, n]).max() < 1e-5, name
    assert_close(outputs, expected)
    expected = np.einsum("brijyx,brijc->byxc", weights, cotangent)
    assert_close(to_channels_last(gradient, data_format), expected)


@pytest.mark.parametrize(("window", "output_size"), [(2, 7), (8, 7), (21, 14), (28, 14)])
def test_long_sides_read_every_few_rows(window, output_size):
    """A window of the map's size + 2 reads all; a smaller one what the docstring says."""
    features = random_features(1, *SIZE, 2)
    boxes = np.array([list(BOXES.values())], "float32")
    weights = [box_weights(box, STRIDE, SIZE, output_size, window) for box in boxes[0]]
    crops = crop(features, boxes, STRIDE, output_size, window=window)
    assert_close(ops.convert_to_numpy(crops)[0], np.einsum("rijyx,yxc->rijc", weights, features[0]))
    exact = [box_weights(box, STRIDE, SIZE, output_size, 100) for box in boxes[0]]
    assert np.allclose(weights, exact) == (window == 28)


@pytest.mark.parametrize("output_size", [7, 14])
def test_sides_of_window_less_two_are_exact(output_size):
    features = random_features(1, 70, 90, 1)
    starts = np.arange(0, 8, 0.25)
    sides = np.stack([starts, starts + 4, starts + 30, starts + 34], -1)
    boxes = sides[None].astype("float32")
    crops, exact = (crop(features, boxes, 1, output_size, window=window) for window in (32, 92))
    assert_close(ops.convert_to_numpy(crops), ops.convert_to_numpy(exact))


@pytest.mark.parametrize("data_format", FORMATS)
def test_objects_cut_from_their_masks(data_format):
    """As mask targets are made: `indices` says which map, and the window holds all of it."""
    rng = np.random.default_rng(2)
    masks = (rng.random((6, 28, 28, 1)) < 0.5).astype("float32")
    boxes = rng.uniform(-14, 42, (2, 5, 4)).astype("float32")
    boxes[..., 2:] = boxes[..., :2] + rng.uniform(5, 60, (2, 5, 2))
    indices = rng.integers(0, 6, (2, 5)).astype("int32")
    masks = to_format(masks, data_format)
    crops = crop(masks, boxes, 1, 7, indices, window=30, data_format=data_format)
    masks = to_channels_last(masks, data_format)
    crops = to_channels_last(crops, data_format)
    for place in np.ndindex(2, 5):
        weights = box_weights(boxes[place], 1, (28, 28), 7, window=30)
        expected = np.einsum("ijyx,yxc->ijc", weights, masks[indices[place]])
        np.testing.assert_allclose(crops[place], expected, atol=1e-5)


def test_maps_of_one_row_or_column():
    for size in ((1, 9), (9, 1), (1, 1)):
        features = random_features(1, *size, 2)
        boxes = np.array([[(0.2, 0.1, 0.9, 0.8), (-3, -3, 12, 12)]], "float32")
        crops = crop(features, boxes, 1, 3)
        for box, one in zip(boxes[0], ops.convert_to_numpy(crops)[0], strict=True):
            np.testing.assert_allclose(one, mmcv_roi_align(features[0], box, 1, 3), atol=1e-5)


def test_no_box_one_box_and_identical_boxes():
    features = random_features(2, *SIZE, 3)
    empty = np.zeros((2, 0, 4), "float32")
    none = crop(features, empty, 4, 7)
    assert tuple(none.shape) == (2, 0, 7, 7, 3)
    maps = [features, features[:, ::2, ::2]]
    none = crop(maps, empty, (4, 8), 7, align=pyramid_roi_align)
    assert tuple(none.shape) == (2, 0, 7, 7, 3)
    box = np.array([[[9.3, 11.2, 70.1, 60.6]]] * 2, "float32")
    one = crop(features, box, 4, 7)
    many = crop(features, np.repeat(box, 5, axis=1), 4, 7)
    one, many = ops.convert_to_numpy(one), ops.convert_to_numpy(many)
    np.testing.assert_allclose(many, np.repeat(one, 5, axis=1), rtol=1e-6, atol=1e-6)
    assert np.abs(one).max() > 0.1


def test_enormous_boxes_give_numbers():
    """As an object without area among the targets makes them."""
    boxes = np.array([[(-1e9, -1e9, 1e9, 1e9), (1e8, 0, 1e9, 9), (0, 0, 1e-30, 1e-30)]], "float32")
    crops = ops.convert_to_numpy(crop(np.ones((1, 9, 9, 1), "float32"), boxes, 1, 7))
    assert np.all((crops >= 0) & (crops <= 1 + 1e-5))


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
    crops = crop(maps, boxes, strides, 7, align=pyramid_roi_align)
    for box, found in zip(boxes[0], ops.convert_to_numpy(crops)[0], strict=True):
        level = level_of(box, 56, 4)
        weights = box_weights(box, strides[level], sizes[level], 7, window=1000)
        expected = np.einsum("ijyx,yxc->ijc", weights, maps[level][0])
        # A place in cells has an error of 1e-5 in float32 where there are hundreds of them.
        np.testing.assert_allclose(found, expected, rtol=0, atol=5e-5)

    def run(inputs):
        others = [ops.convert_to_tensor(level) for level in maps[1:]]
        return crop([inputs, *others], boxes, strides, 7, align=pyramid_roi_align)

    cotangent = random_features(1, 90, 7, 7, 2)
    _, gradient, _ = gradients(Cropping(run), maps[0], cotangent)
    expected = np.zeros(maps[0].shape)
    for n, box in enumerate(boxes[0]):
        if level_of(box, 56, 4) == 0:
            weights = box_weights(box, 4, sizes[0], 7, window=1000)
            expected[0] += np.einsum("ijyx,ijc->yxc", weights, cotangent[0, n])
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-4)


def test_levels():
    sides = np.array([0, 3, 55, 111.9, 112.1, 223.9, 224.1, 447.9, 448.1, 2000], "float32")
    boxes = np.stack([sides * 0, sides * 0, sides * 2, sides / 2], -1)[None]
    levels = ops.convert_to_numpy(box_levels(boxes, 4))
    assert levels.tolist() == [[0, 0, 0, 0, 1, 1, 2, 2, 3, 3]]


class FirstCells(keras.layers.Layer):
    """Crops inside a functional model, whose batch and image sizes are unknown."""

    def call(self, maps, boxes):
        return pyramid_roi_align(maps, boxes, (4, 8), 7, data_format="channels_last")

    def compute_output_shape(self, maps_shape, boxes_shape):
        return (*boxes_shape[:2], 7, 7, maps_shape[0][-1])


def test_unknown_batch_and_size():
    first = keras.Input((None, None, 3))
    second = keras.Input((None, None, 3))
    boxes = keras.Input((len(BOXES), 4))
    model = keras.Model([first, second, boxes], FirstCells()([first, second], boxes))
    maps = [random_features(2, *SIZE, 3), random_features(2, 10, 13, 3)]
    given = np.array([list(BOXES.values())] * 2, "float32")
    outputs = model.predict([*maps, given], verbose=0)
    expected = crop(maps, given, (4, 8), 7, align=pyramid_roi_align)
    assert_close(outputs, ops.convert_to_numpy(expected))


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_dtypes(dtype):
    features = ops.cast(random_features(1, *SIZE, 2), dtype)
    boxes = np.array([list(BOXES.values())], "float32")
    crops = crop(features, boxes, STRIDE, 7)
    exact = crop(ops.cast(features, "float32"), boxes, STRIDE, 7)
    assert crops.dtype == features.dtype
    crops = ops.convert_to_numpy(ops.cast(crops, "float32"))
    np.testing.assert_allclose(crops, ops.convert_to_numpy(exact), atol=0.03)


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="counts what PyTorch keeps")
def test_backward_keeps_nothing_of_the_features():
    import torch

    kept = []
    features = torch.tensor(random_features(1, *SIZE, 64), requires_grad=True)
    boxes = torch.tensor([list(BOXES.values())], dtype=torch.float32, requires_grad=True)

    def keep(tensor):
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        crops = roi_align(features, boxes, STRIDE, 7, data_format="channels_last")
    assert crops.requires_grad
    assert kept
    # The 64 channels of the 32 x 32 cells are not kept, only places and weights.
    assert sum(kept) <= len(BOXES) * 3 * 32 * 7 * 7
    assert torch.autograd.grad(crops.sum(), boxes, allow_unused=True) == (None,)


def test_bad_arguments():
    features, boxes = np.zeros((1, 8, 8, 3), "float32"), np.zeros((1, 2, 4), "float32")
    with pytest.raises(ValueError, match=r"^`features` must be a batch of feature maps with 4"):
        roi_align(features[0], boxes, 1, 7)
    with pytest.raises(ValueError, match=r"^`boxes` must have the shape \(batch, number, 4\), but"):
        roi_align(features, boxes[0], 1, 7)
    with pytest.raises(ValueError, match=r"^`output_size` must be an integer of at least 1, but"):
        roi_align(features, boxes, 1, 0)
    with pytest.raises(ValueError, match=r"^`window` must be an integer of at least 2, but is 1\."):
        roi_align(features, boxes, 1, 7, window=1)
    with pytest.raises(ValueError, match=r"^`data_format` must be one of"):
        roi_align(features, boxes, 1, 7, data_format="first")
    with pytest.raises(ValueError, match=r"^`strides` must have one entry for each of the 1 "):
        pyramid_roi_align([features], boxes, (4, 8), 7)
    with pytest.raises(ValueError, match=r"^`strides` must have one entry for each of the 0 "):
        pyramid_roi_align([], boxes, (), 7)
    with pytest.raises(ValueError, match=r"^`finest_scale` must be a positive number, but is 0\."):
        pyramid_roi_align([features], boxes, (4,), 7, finest_scale=0)
