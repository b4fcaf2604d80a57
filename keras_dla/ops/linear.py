"""Linear maps of pooled features."""

import keras

from keras_dla.utils.types import Tensor

if keras.backend.backend() == "torch":
    import torch


def linear(x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    """Returns x W + b; on PyTorch this is a single operation.

    Args:
        x: tensor `[..., channels]`.
        kernel: tensor `[channels, outputs]`.
        bias: tensor `[outputs]`.
    """
    if keras.backend.backend() != "torch":
        return x @ kernel + bias
    if x.ndim == 2:
        return torch.addmm(bias, x, kernel)
    return torch.nn.functional.linear(x, kernel.t(), bias)


def linear_of_vector(x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    """Returns x W + b of one vector, `[1, outputs]`.

    On PyTorch, the gradient of `linear` would sum that of the bias over a batch of one.

    Args:
        x: tensor `[channels]`.
        kernel: tensor `[channels, outputs]`.
        bias: tensor `[outputs]`.
    """
    if keras.backend.backend() != "torch":
        return x[None] @ kernel + bias
    return torch.addmv(bias, kernel.t(), x)[None]
