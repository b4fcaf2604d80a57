"""Batch normalisation over the batches of all PyTorch processes."""

from typing import Any

import torch
from torch import distributed

from keras_dla.ops.torch.batch_norm import batch_norm
from keras_dla.utils.types import Tensor


def batch_norm_of_replicas(
    x: Tensor,
    gamma: Tensor,
    beta: Tensor,
    moving: Any,
    momentum: float,
    epsilon: float,
    training: bool | None,
    data_format: str,
    over_replicas: bool = True,
) -> Tensor:
    """See `keras_dla.ops.batch_norm.batch_norm`; `moving` changes in place.

    PyTorch's own `SyncBatchNorm` refuses tensors on a CPU. All processes must have batches of equal
    size. The variance is computed from differences to the common mean, which loses no digits.
    """
    # On the device "meta", Keras only infers shapes.
    if not training or not distributed.is_initialized() or x.is_meta:
        return batch_norm(x, gamma, beta, moving, momentum, epsilon, training, data_format)
    spatial, shape = ((1, 2), (-1,)) if data_format == "channels_last" else ((2, 3), (-1, 1, 1))
    mean = _average(x.mean((0, *spatial)))
    centred = x - mean.view(shape)
    variance = _average(centred.square().mean((0, *spatial)))
    count = distributed.get_world_size() * x.numel() // mean.numel()
    with torch.no_grad():
        moving[0].lerp_(mean, 1.0 - momentum)
        moving[1].lerp_(variance * (count / max(count - 1, 1)), 1.0 - momentum)
    scale = (variance + epsilon).rsqrt()
    scale = scale if gamma is None else scale * gamma
    outputs = centred * scale.view(shape)
    outputs = outputs if beta is None else outputs + beta.view(shape)
    return outputs, *moving


def _average(values):
    return Sum.apply(values) / distributed.get_world_size()


class Sum(torch.autograd.Function):
    """The sum over all processes; its gradient is the sum of their gradients."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Any:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return Sum.apply(gradient)
