"""RoIAlign transcribed from MMCV in plain Python, and boxes and maps to compare it on."""

import math

import keras
import numpy as np
from keras import ops

from keras_dla.detection.ops.roi_align import roi_align

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


def value_and_gradient(function, x, cotangent):
    """Returns `function(x)` and the gradient of its sum times `cotangent`, to be compiled."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        value, pull_back = jax.vjp(function, x)
        return value, pull_back(ops.convert_to_tensor(cotangent))[0]
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            value = function(x)
        return value, tf.convert_to_tensor(tape.gradient(value, x, cotangent))
    import torch

    x.requires_grad_()
    value = function(x)
    return value.detach(), torch.autograd.grad(value, x, torch.tensor(cotangent))[0]


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
