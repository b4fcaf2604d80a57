"""The best of many scores are those of a stable sort."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from keras_dla.detection.ops.stable_top_k import stable_top_k
from tests.detection.compiled import compiled, eager

BEST = compiled(lambda scores: stable_top_k(scores, 7))


def stable_sort(scores, count):
    return np.argsort(-scores, axis=-1, kind="stable")[..., :count]


@settings(max_examples=50, deadline=None)
@given(arrays("float32", (2, 11), elements=st.sampled_from([-np.inf, -1.0, 0.5, 0.75, 1.0])))
def test_equal_a_stable_sort(scores):
    np.testing.assert_array_equal(BEST(scores), stable_sort(scores, 7))


@pytest.mark.parametrize("count", [1, 300, 3000, 20000])
def test_many_scores_with_many_equal_ones(count):
    scores = np.random.default_rng(0).normal(size=(2, 20000)).round(2).astype("float32")
    assert 0 < np.signbit(scores[scores == 0]).sum() < (scores == 0).sum()
    best = compiled(lambda x: stable_top_k(x, count))(scores)
    assert best.dtype == "int32"
    np.testing.assert_array_equal(best, stable_sort(scores, count))


def test_all_equal():
    assert eager(lambda x: stable_top_k(x, 4))(np.zeros((1, 9), "float32")).tolist() == [
        [0, 1, 2, 3]
    ]


@pytest.mark.parametrize("number", [0, 3])
def test_none_of_them(number):
    scores = np.zeros((2, number), "float32")
    assert compiled(lambda x: stable_top_k(x, 0))(scores).shape == (2, 0)


@pytest.mark.parametrize("count", [2, 4])
def test_nan_comes_last(count):
    scores = np.array([[0.1, np.nan, 0.3, 0.2]], "float32")
    assert eager(lambda x: stable_top_k(x, count))(scores).tolist() == [[2, 3, 0, 1][:count]]


def test_nan_alone():
    scores = np.full((1, 5), np.nan, "float32")
    assert eager(lambda x: stable_top_k(x, 3))(scores).tolist() == [[0, 1, 2]]
