"""Linear maps against NumPy."""

import keras
import numpy as np

from keras_dla.ops.linear import linear, linear_of_vector
from tests.golden import assert_close


def test_equal_numpy():
    rng = np.random.default_rng(0)
    x, kernel, bias = (
        rng.normal(size=shape).astype("float32") for shape in ((2, 3, 4), (4, 5), (5,))
    )
    of_x, of_kernel, of_bias = map(keras.ops.convert_to_tensor, (x, kernel, bias))
    assert_close(linear(of_x, of_kernel, of_bias), x @ kernel + bias, 1e-5)
    one = linear_of_vector(of_x[0, 0], of_kernel, of_bias)
    assert_close(one, (x[0, 0] @ kernel + bias)[None], 1e-5)
