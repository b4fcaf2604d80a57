"""Sums and ReLUs of feature maps: in place where PyTorch runs operation by operation."""

import keras
from keras import ops


def relu_of_sum(x, y):
    """Returns ReLU(x + y)."""
    return relu_in_place(x + y)


def relu_in_place(x):
    """Returns ReLU(x), and may overwrite x, which must be a map that nothing else reads."""
    return x.relu_() if keras.backend.backend() == "torch" else ops.relu(x)


def add_in_place(x, y):
    """Returns x + y, and may overwrite x, of which nothing else, nor its derivative, may need the
    values.
    """
    return x.add_(y) if keras.backend.backend() == "torch" else x + y
