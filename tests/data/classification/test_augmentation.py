import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_dla.data.classification.augmentation import PADDING, EpochDraw, crop_and_flip, draw_epoch


def crop_one_by_one(images, draw):
    """The recipe spelled out: pad, crop and flip one image after the other."""
    result = []
    for image, top, left, flip in zip(images, draw.tops, draw.lefts, draw.flips, strict=True):
        height, width, _ = image.shape
        padded = np.pad(image, ((PADDING, PADDING), (PADDING, PADDING), (0, 0)))
        crop = padded[top : top + height, left : left + width]
        result.append(crop[:, ::-1] if flip else crop)
    return np.stack(result)


@given(
    batch=st.integers(1, 6),
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    channels=st.integers(1, 4),
    seed=st.integers(0, 2**64),
)
def test_crop_and_flip_equals_a_loop_over_images(batch, height, width, channels, seed):
    images = np.random.default_rng(seed).integers(0, 256, (batch, height, width, channels), "uint8")
    before = images.copy()
    draw = draw_epoch(batch, seed, 0)
    np.testing.assert_array_equal(crop_and_flip(images, draw), crop_one_by_one(images, draw))
    np.testing.assert_array_equal(images, before)


def test_every_offset_is_cut_exactly():
    offsets = 2 * PADDING + 1
    tops, lefts = np.divmod(np.arange(offsets**2), offsets)
    images = np.random.default_rng(0).integers(1, 256, (offsets**2, 8, 8, 3), "uint8")
    draw = EpochDraw(np.arange(offsets**2), tops, lefts, tops % 2 == 0)
    np.testing.assert_array_equal(crop_and_flip(images, draw), crop_one_by_one(images, draw))


@given(size=st.integers(1, 50), seed=st.integers(0, 2**64), epoch=st.integers(0, 1000))
def test_an_epoch_shows_every_image_once(size, seed, epoch):
    draw = draw_epoch(size, seed, epoch)
    assert sorted(draw.order) == list(range(size))
    assert all(len(entry) == size for entry in draw)


@pytest.mark.parametrize("other", [{"seed": 1, "epoch": 0}, {"seed": 0, "epoch": 1}])
def test_seed_and_epoch_change_every_choice(other):
    one, two = draw_epoch(1000, seed=0, epoch=0), draw_epoch(1000, **other)
    for entry, other_entry in zip(one, two, strict=True):
        assert np.mean(entry != other_entry) > 0.2


def test_a_draw_is_made_again_the_same():
    one = draw_epoch(100, seed=5, epoch=7)
    draw_epoch.cache_clear()
    for entry, again in zip(one, draw_epoch(100, seed=5, epoch=7), strict=True):
        np.testing.assert_array_equal(entry, again)


def test_shuffling_leaves_the_crops_alone():
    shuffled, stored = draw_epoch(100, 0, 0, shuffle=True), draw_epoch(100, 0, 0, shuffle=False)
    np.testing.assert_array_equal(stored.order, np.arange(100))
    np.testing.assert_array_equal(shuffled.tops, stored.tops)


def test_offsets_and_flips_are_uniform():
    draw = draw_epoch(90_000, seed=0, epoch=0)
    for offsets in (draw.tops, draw.lefts):
        # 10,000 expected each, with a standard deviation of 94.
        assert np.abs(np.bincount(offsets, minlength=9) - 10_000).max() < 500
    assert abs(draw.flips.mean() - 0.5) < 0.01


def test_a_shared_draw_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        draw_epoch(10, 0, 0).order[0] = 3
