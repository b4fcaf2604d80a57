"""PyTorch's fused batch normalisation."""

import torch


def batch_norm(x, gamma, beta, epsilon, statistics, data_format):
    """See `keras_dla.layers.batch_normalization.fused_kernel`."""
    mean, variance = (None, None) if statistics is None else (s.value for s in statistics)
    outputs, mean, inverse_deviation = torch.native_batch_norm(
        _channels_first(x, data_format),
        gamma.value,
        beta.value,
        mean,
        variance,
        statistics is None,
        0.0,
        epsilon,
    )
    outputs = _as_it_was(outputs, data_format)
    if statistics is not None:
        return outputs, *statistics
    return outputs, mean.detach(), inverse_deviation.detach().pow(-2) - epsilon


def _channels_first(x, data_format):
    return x if data_format == "channels_first" else x.permute(0, 3, 1, 2)


def _as_it_was(x, data_format):
    return x if data_format == "channels_first" else x.permute(0, 2, 3, 1)
