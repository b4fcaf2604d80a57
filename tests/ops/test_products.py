import numpy as np
import pytest
from keras import ops

from keras_dla.ops.products import einsum, matmul
from tests.layers.test_formats_and_dtypes import wide_floats


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("float64", 1e-13)])
@pytest.mark.parametrize("product", [matmul, lambda a, b: einsum("bij,bjk->bik", a, b)])
def test_products_are_as_fine_as_their_factors(product, dtype, tolerance):
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=size).astype(dtype) for size in ((2, 5, 40), (2, 40, 3)))
    with wide_floats(dtype):
        found = product(*(ops.convert_to_tensor(x, dtype=dtype) for x in (a, b)))
        found = ops.convert_to_numpy(found)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, a.astype("float64") @ b.astype("float64"), atol=tolerance)
