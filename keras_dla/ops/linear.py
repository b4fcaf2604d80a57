"""Linear maps of pooled features."""

import keras

from keras_dla.utils.types import Tensor


def linear(x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    """Returns x W + b; on PyTorch this is a single operation.

    Args:
        x: tensor `[..., channels]`.
        kernel: tensor `[channels, outputs]`.
        bias: tensor `[outputs]`.
    """
    if keras.backend.backend() != "torch":
        return x @ kernel + bias
    import torch

    return torch.nn.functional.linear(x, kernel.t(), bias)
