"""The random window against torchvision's rule, written out here in NumPy."""

import numpy as np
import pytest

from keras_dla.data.classification.random_resized_crop import random_window
from tests.backends import on_pytorch

COUNT = 4000


def windows(height, width, count=COUNT):
    tf = pytest.importorskip("tensorflow")

    def one(number):
        seed = tf.stack([number, tf.constant(7, "int64")])
        return random_window(tf, tf.constant(height), tf.constant(width), seed)

    with tf.device("CPU"):
        drawn = tf.data.Dataset.range(count).map(one).batch(count)
        return next(iter(drawn)).numpy()


def torchvision_rule(height, width, count=COUNT):
    generator = np.random.default_rng(0)

    def one():
        for _ in range(10):
            area = height * width * generator.uniform(0.08, 1)
            ratio = np.exp(generator.uniform(np.log(3 / 4), np.log(4 / 3)))
            w, h = round(np.sqrt(area * ratio)), round(np.sqrt(area / ratio))
            if 0 < w <= width and 0 < h <= height:
                top, left = generator.integers(height - h + 1), generator.integers(width - w + 1)
                return top, left, h, w
        if width / height < 3 / 4:
            h, w = round(width / (3 / 4)), width
        elif width / height > 4 / 3:
            h, w = height, round(height * 4 / 3)
        else:
            h, w = height, width
        return (height - h) // 2, (width - w) // 2, h, w

    return np.array([one() for _ in range(count)])


def distance(one, other):
    """Kolmogorov and Smirnov's: the largest difference of the two distribution functions."""
    points = np.sort(np.concatenate([one, other]))
    shares = [np.searchsorted(np.sort(x), points, side="right") / len(x) for x in (one, other)]
    return np.abs(shares[0] - shares[1]).max()


def described(windows, height, width):
    top, left, h, w = windows.T.astype("float64")
    return {"area": h * w / (height * width), "ratio": w / h, "top": top, "left": left}


@pytest.mark.parametrize(("height", "width"), [(375, 500), (500, 375), (300, 300), (200, 700)])
def test_windows_are_distributed_as_torchvisions(height, width):
    ours = described(windows(height, width), height, width)
    theirs = described(torchvision_rule(height, width), height, width)
    for name, values in ours.items():
        # Two samples of 4000 of one distribution differ by more once in 10,000 times.
        assert distance(values, theirs[name]) < 2.23 * np.sqrt(2 / COUNT), name


@pytest.mark.parametrize(("height", "width"), [(375, 500), (61, 47), (20, 45), (1, 1)])
def test_windows_lie_in_the_image_and_in_the_ranges(height, width):
    drawn = windows(height, width, 500)
    top, left, h, w = drawn.T
    assert np.all((top >= 0) & (left >= 0) & (h >= 1) & (w >= 1))
    assert np.all((top + h <= height) & (left + w <= width))
    # A side is rounded to a whole pixel.
    assert np.all((h + 0.5) * (w + 0.5) >= 0.08 * height * width)
    assert np.all((w + 0.5) / (h - 0.5) >= 3 / 4)
    assert np.all((w - 0.5) / (h + 0.5) <= 4 / 3)


def test_every_offset_and_every_area_comes():
    (area, _, top, left) = described(windows(50, 50), 50, 50).values()
    assert area.min() < 0.09
    assert area.max() > 0.95
    assert set(range(30)) <= set(top.astype(int)) & set(left.astype(int))


def test_an_image_without_a_fitting_window_gives_its_centre():
    for window in np.unique(windows(10, 300, 200), axis=0):
        np.testing.assert_array_equal(window, [0, (300 - 13) // 2, 10, 13])


def test_a_seed_makes_its_window_again():
    np.testing.assert_array_equal(windows(375, 500, 20), windows(375, 500, 20))
    assert len(np.unique(windows(375, 500, 20), axis=0)) == 20


@on_pytorch
def test_keras_cv_has_another_rule():
    """If this fails, KerasCV's layer may have come to follow the rule, and could draw windows."""
    pytest.importorskip("tensorflow")
    keras_cv = pytest.importorskip("keras_cv")
    layer = keras_cv.layers.RandomCropAndResize(
        (8, 8), crop_area_factor=(0.08, 1.0), aspect_ratio_factor=(3 / 4, 4 / 3), seed=0
    )
    boxes = np.array([layer.get_random_transformation()[0] for _ in range(500)])
    height, width = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    theirs = torchvision_rule(375, 500)
    area, ratio = theirs[:, 2] * theirs[:, 3] / (375 * 500), theirs[:, 3] / theirs[:, 2]
    critical = 2.23 * np.sqrt((COUNT + 500) / (COUNT * 500))
    assert distance(width * 500 / (height * 375), ratio) > 2 * critical
    assert distance(width * height, area) < 1
