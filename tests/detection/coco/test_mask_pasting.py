import math

import numpy as np
import pytest

from keras_dla.detection.coco.mask_pasting import paste_mask

MASK = np.random.default_rng(0).uniform(size=(7, 5))


def slow(mask, box, height, width):
    """Pixel by pixel, by the four neighbours of its centre; zero outside box and mask."""
    x1, y1, x2, y2 = box
    rows, columns = mask.shape
    pasted = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            if not (x1 <= x + 0.5 < x2 and y1 <= y + 0.5 < y2):
                continue
            v = (y + 0.5 - y1) / (y2 - y1) * rows - 0.5
            u = (x + 0.5 - x1) / (x2 - x1) * columns - 0.5
            for j in (math.floor(v), math.floor(v) + 1):
                for i in (math.floor(u), math.floor(u) + 1):
                    if 0 <= j < rows and 0 <= i < columns:
                        pasted[y, x] += mask[j, i] * (1 - abs(v - j)) * (1 - abs(u - i))
    return pasted


@pytest.mark.parametrize(
    "box",
    [
        (2, 3, 12, 17),
        (2.3, 3.7, 11.9, 16.2),
        (-4, -3.5, 9, 30),
        (3.6, 3.6, 4.4, 4.4),
        (3, 3, 3, 9),
        (40, 40, 50, 50),
        (9, 9, 4, 4),
        (0, 0, 1e9, 1e9),
    ],
)
def test_against_a_slow_transcription(box):
    pasted = paste_mask(MASK, box, 20, 15)
    assert pasted.dtype == "float32"
    np.testing.assert_allclose(pasted, slow(MASK, box, 20, 15), atol=1e-6)


def test_a_full_mask_fills_the_pixels_of_its_box():
    pasted = paste_mask(np.ones((28, 28)), (2, 1, 7, 9), 10, 10) >= 0.5
    expected = np.zeros((10, 10), bool)
    expected[1:9, 2:7] = True
    np.testing.assert_array_equal(pasted, expected)


def test_against_torch():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed.")
    x1, y1, x2, y2 = box = (2.3, 3.7, 11.9, 16.2)
    u = (np.arange(15) + 0.5 - x1) / (x2 - x1) * 2 - 1
    v = (np.arange(20) + 0.5 - y1) / (y2 - y1) * 2 - 1
    grid = torch.from_numpy(np.stack(np.meshgrid(u, v), -1)[None])
    mask = torch.from_numpy(MASK[None, None])
    expected = torch.nn.functional.grid_sample(mask, grid, align_corners=False)[0, 0].numpy()
    inside = (np.abs(v) <= 1)[:, None] & (np.abs(u) <= 1)
    np.testing.assert_allclose(paste_mask(MASK, box, 20, 15), expected * inside, atol=1e-6)
