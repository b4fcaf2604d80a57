"""PyTorch's fused batch normalisation, which updates the moving statistics itself."""

from typing import Any

import torch

from keras_dla.ops.torch.layout import as_it_was, channels_first
from keras_dla.utils.types import Tensor


def batch_norm(
    x: Tensor,
    gamma: Tensor,
    beta: Tensor,
    moving: Any,
    momentum: float,
    epsilon: float,
    training: bool | None,
    data_format: str,
    over_replicas: bool = False,
) -> Tensor:
    """See `keras_dla.ops.batch_norm.batch_norm`; `moving` changes in place."""
    x = channels_first(x, data_format)
    if training and x.numel() == x.shape[1]:
        return as_it_was(_one_entry(x, gamma, beta, moving, momentum), data_format), *moving
    outputs = torch.batch_norm(
        x, gamma, beta, *moving, training, 1.0 - momentum, epsilon, torch.backends.cudnn.enabled
    )
    return as_it_was(outputs, data_format), *moving


def _one_entry(x, gamma, beta, moving, momentum):
    """Normalises channels of one entry, whose mean is that entry and which have no variance."""
    mean, variance = moving
    with torch.no_grad():
        mean.lerp_(x.detach().flatten().to(mean.dtype), 1.0 - momentum)
        variance.mul_(momentum)
    outputs = x - x
    if gamma is not None:
        outputs = outputs * gamma.view(-1, 1, 1)
    return outputs if beta is None else outputs + beta.view(-1, 1, 1)
