"""Cheap operations give what Keras's own give."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_dla.ops import cheap

X = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("reshape", [(2, -1)], lambda x: ops.reshape(x, (2, -1))),
        ("relu", [], ops.relu),
        ("sigmoid", [], ops.sigmoid),
        ("total", [1], lambda x: ops.sum(x, axis=1)),
        ("pad", [[(0, 0), (1, 2), (3, 0)]], lambda x: ops.pad(x, [(0, 0), (1, 2), (3, 0)])),
        ("split", [[1, 2], 1], lambda x: [x[:, :1], x[:, 1:]]),
        ("split_at", [3, -1], lambda x: [x[..., :3], x[..., 3:]]),
        ("cast", ["float16"], lambda x: ops.cast(x, "float16")),
        ("cast", ["float32"], lambda x: x),
        ("in_float32", [], lambda x: x),
    ],
)
def test_of_one_tensor(name, arguments, expected):
    x = ops.convert_to_tensor(X)
    found, expected = getattr(cheap, name)(x, *arguments), expected(x)
    several = isinstance(expected, list)
    for one, other in zip(*((found, expected) if several else ([found], [expected])), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(ops.convert_to_numpy(one), ops.convert_to_numpy(other), 1e-6)


def test_of_several_tensors():
    x, y = ops.convert_to_tensor(X), ops.convert_to_tensor(2 * X)
    joined, stacked = cheap.concatenate([x, y], axis=1), cheap.stack([x, y])
    np.testing.assert_array_equal(ops.convert_to_numpy(joined), np.concatenate([X, 2 * X], 1))
    np.testing.assert_array_equal(ops.convert_to_numpy(stacked), np.stack([X, 2 * X]))


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("float16", "float32"), ("bfloat16", "float32"), ("float32", "float32"), ("int32", "float32")],
)
def test_float32_at_least(dtype, expected):
    x = cheap.in_float32(ops.cast(X, dtype))
    assert keras.backend.standardize_dtype(x.dtype) == expected


def test_float64_stays():
    assert keras.backend.standardize_dtype(cheap.in_float32(X.astype("float64")).dtype) == "float64"


def test_arrays_and_variables_are_cast():
    """Layers may be called with NumPy's arrays."""
    for x in (X, keras.Variable(X)):
        cast = cheap.cast(x, "float16")
        assert keras.backend.standardize_dtype(cast.dtype) == "float16"
