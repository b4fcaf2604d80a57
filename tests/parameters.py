"""How many parameters there are."""

import math


def trainable(layer):
    """Counts the trainable parameters of a layer or a model."""
    return sum(math.prod(weight.shape) for weight in layer.trainable_weights)
