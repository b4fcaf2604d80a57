"""The ReLU of a sum of feature maps: in place where PyTorch runs operation by operation."""

import keras
from keras import ops


def relu_of_sum(x, y):
    """Returns ReLU(x + y)."""
    total = x + y
    # In place only because the sum is a map of its own: the derivative of a view that was
    # overwritten, such as a transposed map, copies whole maps.
    return total.relu_() if keras.backend.backend() == "torch" else ops.relu(total)
