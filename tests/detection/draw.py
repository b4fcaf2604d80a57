"""Boxes to test with."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays


def random_boxes(rng, shape, size=100.0):
    """Boxes of `[*shape, 4]` with corners in no order of size: some come out empty or inverted."""
    start = rng.uniform(-0.2 * size, size, (*shape, 2))
    sides = rng.uniform(-0.05 * size, 0.5 * size, (*shape, 2))
    return np.concatenate([start, start + sides], axis=-1).astype("float32")


def grid_boxes(*shape):
    """A strategy for boxes with small whole numbers, whose overlaps float32 tells apart exactly:
    many equal ones, and many without area.
    """
    corners = arrays("float32", (*shape, 4), elements=st.integers(0, 6).map(float))
    return corners.map(lambda c: np.sort(c.reshape(*shape, 2, 2), axis=-2).reshape(*shape, 4))
