import numpy as np
import pytest
from keras import ops

from keras_dla.ops.softmax import softmax


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 1, 1)])
@pytest.mark.parametrize("axis", [-1, 1, (1, 2)])
def test_softmax_over_any_axes_even_of_one_entry(shape, axis):
    """Keras's own would warn of one entry, which is an error here."""
    logits = np.random.default_rng(0).normal(size=shape).astype("float32")
    exponentials = np.exp(logits)
    expected = exponentials / exponentials.sum(axis=axis, keepdims=True)
    found = ops.convert_to_numpy(softmax(ops.convert_to_tensor(logits), axis))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
