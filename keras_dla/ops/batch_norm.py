"""Batch normalisation in the fastest form for the backend, with its moving statistics."""

from typing import Any

import keras
from keras import ops

from keras_dla.ops.channels import channel_axis, spatial_axes
from keras_dla.utils.types import Tensor


def batch_norm(
    x: Tensor,
    gamma: Tensor | None,
    beta: Tensor | None,
    moving: tuple[Tensor, Tensor],
    momentum: float,
    epsilon: float,
    training: bool,
    data_format: str,
    over_replicas: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the normalised maps, and the moving mean and variance after them.

    The moving variance is updated with the unbiased variance, as in PyTorch.

    Args:
        x: tensor `[batch, height, width, channels]` or channels first, float32 or float64.
        gamma: tensor `[channels]`, or `None` for ones.
        beta: tensor `[channels]`, or `None` for zeros.
        moving: the moving mean and variance, tensors `[channels]`, in the dtype of `x`. On PyTorch,
            training changes them in place.
        momentum: float, the share of the moving statistics that is kept.
        epsilon: float, added to the variance.
        training: boolean, whether to normalise with the batch's statistics and to update the moving
            ones.
        data_format: `"channels_last"` or `"channels_first"`.
        over_replicas: boolean, whether the statistics are taken over the batches of all devices;
            defaults to `False`.
    """
    form = batch_norm_plain
    if keras.backend.backend() == "torch":
        form = torch_norm.batch_norm
        if over_replicas:
            form = sync_batch_norm.batch_norm_of_replicas
    elif keras.backend.backend() == "tensorflow" and not over_replicas:
        form = _tensorflow_form(keras.backend.standardize_dtype(x.dtype))
    settings = (momentum, epsilon, training, data_format, over_replicas)
    return form(x, gamma, beta, moving, *settings)


def fold_norms(
    kernels: list, means: list, variances: list, gammas: list, betas: list, epsilons: list
) -> list[tuple[Tensor, Tensor]]:
    """Returns the kernels and biases of convolutions that include the BN after them, for inference.

    Only on PyTorch, where a few operations do it for all of them together.

    Args:
        kernels: list of the convolutions' tensors `[height, width, channels, filters]`.
        means: list of the moving means, tensors `[filters]`, of the BN after each.
        variances: list of the moving variances, the same.
        gammas: list of the gammas, the same.
        betas: list of the betas, the same.
        epsilons: list of floats, which BN adds to the variances.
    """
    return inference.fold_norms(kernels, means, variances, gammas, betas, epsilons)


def batch_norm_plain(
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
    """Batch normalisation in `keras.ops`; on JAX the statistics are always over all devices."""
    axis = channel_axis(data_format) % 4
    mean, variance = moving
    if training:
        axes = (0, *spatial_axes(data_format))
        together = over_replicas and keras.backend.backend() == "tensorflow"
        mean, variance = ops.moments(x, axes=axes, synchronized=together)
        moving = _moved(moving, mean, variance, _count(x, axes, together), momentum)
    outputs = ops.batch_normalization(
        x, mean, variance, axis, offset=beta, scale=gamma, epsilon=epsilon
    )
    return outputs, *moving


def _moved(moving, mean, variance, count, momentum):
    unbiased = variance * (count / ops.maximum(count - 1.0, 1.0))
    return tuple(
        old * momentum + new * (1.0 - momentum)
        for old, new in zip(moving, (mean, unbiased), strict=True)
    )


def _count(x, axes, over_replicas):
    """Returns the number of entries over which a channel's statistics are taken."""
    shape = ops.shape(x)
    count = 1
    for axis in axes:
        count = count * shape[axis]
    if over_replicas:
        import tensorflow as tf

        count = count * tf.distribute.get_strategy().num_replicas_in_sync
    return ops.cast(count, x.dtype)


def _tensorflow_form(dtype):
    if dtype != "float32":
        return batch_norm_plain
    from keras_dla.ops.tensorflow.batch_norm import batch_norm

    return batch_norm


# Last, because some of these read what is above; an import inside a function takes as long as a
# small operation.
if keras.backend.backend() == "torch":
    from keras_dla.ops.torch import batch_norm as torch_norm
    from keras_dla.ops.torch import inference, sync_batch_norm
