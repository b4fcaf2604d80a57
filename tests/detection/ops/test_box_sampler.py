"""Samples have the right numbers of boxes, and every box the same chance."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from keras_dla.detection.ops.box_sampler import sample_boxes, sample_mask
from tests.detection.compiled import compiled, eager

MASK = compiled(lambda matches: sample_mask(matches, 5, 0.5, seed=1))
BOXES = compiled(lambda matches: sample_boxes(matches, 5, 0.5, seed=1))
MATCHES = arrays("int32", (3, 8), elements=st.integers(-2, 2))


def numbers(matches, count, fraction):
    """How many positive and background boxes `RandomSampler` draws from one image."""
    positive = min((matches >= 0).sum(), int(count * fraction))
    return positive, min((matches == -1).sum(), count - positive)


@settings(max_examples=60, deadline=None)
@given(MATCHES)
def test_masks_have_the_right_numbers(matches):
    positive, negative = MASK(matches)
    assert positive.dtype == negative.dtype == "bool"
    assert (matches[positive] >= 0).all() and (matches[negative] == -1).all()
    for image in range(3):
        expected = numbers(matches[image], 5, 0.5)
        assert (positive[image].sum(), negative[image].sum()) == expected


@settings(max_examples=60, deadline=None)
@given(MATCHES)
def test_indices_are_those_of_the_masks_positive_ones_first(matches):
    masks = MASK(matches)
    indices, valid = BOXES(matches)
    assert indices.shape == valid.shape == (3, 5) and indices.dtype == "int32"
    assert (indices[~valid] == 0).all()
    for image in range(3):
        drawn = indices[image][valid[image]]
        positive, _ = numbers(matches[image], 5, 0.5)
        for part, mask in zip((drawn[:positive], drawn[positive:]), masks, strict=True):
            assert sorted(part) == np.flatnonzero(mask[image]).tolist()


@pytest.mark.parametrize("mode", [eager, compiled])
@pytest.mark.parametrize("number", [0, 1, 3])
def test_fewer_boxes_than_asked_for(mode, number):
    matches = np.array([[4, -1, -1]], "int32")[:, :number]
    positive, negative = mode(lambda x: sample_mask(x, 8, 0.25, seed=2))(matches)
    assert positive.shape == negative.shape == (1, number)
    np.testing.assert_array_equal(positive, matches >= 0)
    np.testing.assert_array_equal(negative, matches == -1)
    _, valid = mode(lambda x: sample_boxes(x, 8, 0.25, seed=2))(matches)
    assert valid.tolist() == [[place < number for place in range(8)]]


def test_every_box_has_the_same_chance():
    one = np.array([7, -1, 3, -2, 5, -1, -1, 0, -1, -1, 2, -1], "int32")
    images = 6000
    matches = np.broadcast_to(one, (images, 12))
    positive, negative = compiled(lambda x: sample_mask(x, 6, 0.5, seed=3))(matches)
    # 3 of 5 and 3 of 6; the frequencies scatter by less than 0.0065.
    np.testing.assert_allclose(positive.mean(0), np.where(one >= 0, 3 / 5, 0), atol=0.03)
    np.testing.assert_allclose(negative.mean(0), np.where(one == -1, 3 / 6, 0), atol=0.03)
    # Pairs too: drawn without replacement, two positive boxes come together in 3 of 10 samples.
    assert abs((positive[:, 0] & positive[:, 2]).mean() - 0.3) < 0.03


def test_a_generator_draws_anew_and_an_integer_does_not():
    matches = np.full((1, 1000), -1, "int32")
    generator = keras.random.SeedGenerator(0)
    draws = [eager(lambda x: sample_mask(x, 100, 0.5, generator)[1])(matches) for _ in range(2)]
    assert (draws[0] != draws[1]).any()
    same = [eager(lambda x: sample_mask(x, 100, 0.5, 4)[1])(matches) for _ in range(2)]
    np.testing.assert_array_equal(*same)


def test_in_a_model_with_a_generator():
    class Sampling(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.seed_generator = keras.random.SeedGenerator(5)

        def call(self, matches):
            indices, valid = sample_boxes(matches, 4, 0.5, self.seed_generator)
            return keras.ops.where(valid, indices, -1)

    inputs = keras.Input((9,), dtype="int32")
    model = keras.Model(inputs, Sampling()(inputs))
    model.compile()
    matches = np.array([[-1, -1, 0, -1, 2, 3, -1, -2, -2]] * 2, "int32")
    draws = [model.predict_on_batch(matches) for _ in range(10)]
    assert {-1, 0, 2, 4, 5, 7} & set(np.concatenate(draws).flatten().tolist()) >= {0, 2, 4, 5}
    assert (matches[0][draws[0][:, :2]] >= 0).all() and (matches[0][draws[0][:, 2:]] == -1).all()


@pytest.mark.parametrize("sample", [sample_mask, sample_boxes])
def test_other_arguments_are_refused(sample):
    matches = np.zeros((1, 3), "int32")
    with pytest.raises(ValueError, match="`count` must be an integer of at least 1"):
        sample(matches, 0, 0.5, 0)
    with pytest.raises(ValueError, match="`positive_fraction` must be from 0 to 1"):
        sample(matches, 2, 1.5, 0)
