"""PyTorch's fused batch normalisation."""

import torch

from keras_dla.ops.torch.layout import as_it_was, channels_first


def batch_norm(x, gamma, beta, epsilon, statistics, data_format):
    """See `keras_dla.ops.batch_norm.fused_kernel`."""
    mean, variance = (None, None) if statistics is None else (s.value for s in statistics)
    outputs, mean, inverse_deviation = torch.native_batch_norm(
        channels_first(x, data_format),
        gamma.value,
        beta.value,
        mean,
        variance,
        statistics is None,
        0.0,
        epsilon,
    )
    outputs = as_it_was(outputs, data_format)
    if statistics is not None:
        return outputs, *statistics
    return outputs, mean.detach(), inverse_deviation.detach().pow(-2) - epsilon
