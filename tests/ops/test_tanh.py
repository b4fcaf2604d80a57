import numpy as np
import pytest
from keras import ops

from keras_dla.ops.tanh import tanh
from tests.layers.test_formats_and_dtypes import wide_floats


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float64", 1e-15)])
def test_is_as_fine_as_its_input(dtype, tolerance):
    x = np.linspace(-4, 4, 99).astype(dtype)
    with wide_floats(dtype):
        found = ops.convert_to_numpy(tanh(ops.convert_to_tensor(x, dtype=dtype)))
    assert found.dtype == dtype
    np.testing.assert_allclose(found, np.tanh(x.astype("float64")), atol=tolerance)
