"""Windows hold every box of a pyramid, and boxes are read by the least that holds them."""

import numpy as np
import pytest

from keras_dla.detection.ops.roi_windows import crop_by_window, exact_windows, finer_windows
from keras_dla.ops.devices import torch_runs_eagerly
from tests.backends import on_pytorch
from tests.detection.compiled import compiled


@pytest.mark.parametrize("scale", [14, 28, 56, 112])
@pytest.mark.parametrize("height", [64, 320, 800, 1344])
@pytest.mark.parametrize("width", [64, 320, 800, 1344])
def test_some_window_holds_every_box(height, width, scale):
    strides = (4, 8, 16, 32)
    shapes = [(height // stride, width // stride) for stride in strides]
    windows = exact_windows(shapes, strides, scale)
    assert windows == sorted(windows, key=np.prod)
    rng = np.random.default_rng(0)
    sides = np.exp(rng.uniform(0, np.log((width, height)), (4000, 2)))
    sides = np.concatenate([sides, [[width, height], [width, 1], [1, height]]])
    level = np.floor(np.log2(np.sqrt(sides.prod(1)) / scale + 1e-6)).clip(0, 3).astype(int)
    limits = np.array(shapes)[level][:, ::-1] + 2
    cells = np.minimum(np.ceil(sides / np.take(strides, level)[:, None]) + 2, limits)
    long, short = cells.max(1), cells.min(1)
    held = np.any([(long <= a) & (short <= b) for a, b in windows], axis=0)
    assert held.all(), sides[~held][:5]


@pytest.mark.parametrize("count", [1, 64, 300])
def test_every_box_has_the_least_window_that_holds_it(count):
    windows = [(4, 4), (8, 2), (20, 20)]
    rng = np.random.default_rng(1)
    needed = np.sort(rng.integers(1, 12, (count, 2)), axis=1)[:, ::-1].astype("int32")
    number = np.arange(count, dtype="float32")[:, None]

    def crop(window, number):
        return number * 1000 + window[0] * 10

    found = compiled(lambda n, x: crop_by_window(crop, windows, n, [x]))(needed, number)
    if torch_runs_eagerly():
        windows = finer_windows(windows)
    fits = [[(a <= w) & (b <= h) for w, h in windows].index(True) for a, b in needed]
    expected = number[:, 0] * 1000 + [10 * windows[fit][0] for fit in fits]
    np.testing.assert_allclose(np.asarray(found)[:, 0], expected)


@on_pytorch
@pytest.mark.parametrize(
    "windows", [[(34, 34)], [(5, 5)], [(9, 3)], [(32, 32), (44, 27), (62, 31), (338, 17)]]
)
def test_finer_windows_end_with_the_one_that_holds_every_box(windows):
    finer = finer_windows(windows)
    assert set(windows) <= set(finer) and finer[-1] == windows[-1]
    areas = [long * short for long, short in finer[:-1]]
    assert areas == sorted(areas) and len(finer) == len(set(finer))
    assert all(long >= short for long, short in finer)
