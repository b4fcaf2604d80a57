"""The largest entries along an axis, for PyTorch."""

import torch

from keras_dla.utils.types import Tensor


def largest(x: Tensor, axis: int) -> Tensor:
    """See `keras_dla.ops.channels.largest`."""
    return torch.max(x, axis, keepdim=True).values
