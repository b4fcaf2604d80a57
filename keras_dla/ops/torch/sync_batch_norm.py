"""Batch normalisation over the batches of all PyTorch processes."""

import torch
from torch import distributed

from keras_dla.ops.torch.batch_norm import batch_norm


def batch_norm_of_replicas(x, gamma, beta, epsilon, statistics, data_format):
    """See `keras_dla.ops.batch_norm.fused_kernel`.

    PyTorch's own `SyncBatchNorm` refuses tensors on a CPU. The processes' batches must be equally
    large. The variance is that of differences to the common mean, which cancels no digits.
    """
    # On the device "meta" Keras only asks for shapes.
    if statistics is not None or not distributed.is_initialized() or x.is_meta:
        return batch_norm(x, gamma, beta, epsilon, statistics, data_format)
    spatial, shape = ((1, 2), (-1,)) if data_format == "channels_last" else ((2, 3), (-1, 1, 1))
    mean = _average(x.mean((0, *spatial)))
    centred = x - mean.view(shape)
    variance = _average(centred.square().mean((0, *spatial)))
    scale = gamma.value * (variance + epsilon).rsqrt()
    outputs = centred * scale.view(shape) + beta.value.view(shape)
    return outputs, mean.detach(), variance.detach()


def _average(values):
    return Sum.apply(values) / distributed.get_world_size()


class Sum(torch.autograd.Function):
    """The sum over all processes, whose gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx, values):
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, gradient):
        return Sum.apply(gradient)
