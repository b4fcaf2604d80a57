import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from keras_dla.data.detection.object_masks import cut_masks
from tests.backends import on_pytorch

pytestmark = on_pytorch


def cut_by_sampling(mask, box, size, samples=64):
    """The share of each cell that is covered, by many samples."""
    left, top, right, bottom = box
    places = (np.arange(size * samples) + 0.5) / (size * samples)
    rows = (top + places * (bottom - top)).astype(int)
    columns = (left + places * (right - left)).astype(int)
    return mask[np.ix_(rows, columns)].reshape(size, samples, size, samples).mean((1, 3))


@given(
    seed=st.integers(0, 10**6), height=st.integers(1, 12), width=st.integers(1, 12),
    size=st.integers(1, 9),
)  # fmt: skip
def test_a_cell_is_covered_at_least_by_half(seed, height, width, size):
    random = np.random.default_rng(seed)
    mask = random.integers(0, 2, (1, height, width), "uint8")
    left, right = np.sort(random.uniform(0, width, 2))
    top, bottom = np.sort(random.uniform(0, height, 2))
    # Boxes are in float32, and a box of the whole image is among them.
    box = np.array([left, top, right, bottom], "float32")
    if seed % 3 == 0:
        box[:] = 0, 0, width, height
    share = cut_by_sampling(mask[0], box, size)
    cut = cut_masks(mask, box[None], size)[0]
    clear = abs(share - 0.5) > 0.04
    np.testing.assert_array_equal(cut[clear], share[clear] > 0.5)


def test_exactly_half_is_covered():
    mask = np.zeros((1, 4, 6), "uint8")
    mask[0, :, ::2] = 1
    assert cut_masks(mask, np.array([[0.0, 0, 6, 4]]), 3).all()


def test_the_cut_does_not_depend_on_the_size_of_the_image():
    mask = np.zeros((1, 40, 50), "uint8")
    mask[0, 10:25, 5:20] = mask[0, 20:30, 10:40] = 1
    box = np.array([[5.0, 10, 40, 30]])
    # Cells of whole pixels.
    expected = cut_masks(mask, box, 5)
    for factor in (2, 3):
        large = mask.repeat(factor, axis=1).repeat(factor, axis=2)
        np.testing.assert_array_equal(cut_masks(large, box * factor, 5), expected)


def test_no_objects():
    assert cut_masks(np.zeros((0, 8, 8), "uint8"), np.zeros((0, 4)), 14).shape == (0, 14, 14)
