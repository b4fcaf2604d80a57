"""The channel axis of feature maps, and functions along it."""

import keras
from keras import ops

from keras_dla.ops.cheap import in_float32
from keras_dla.ops.devices import torch_runs_eagerly
from keras_dla.utils.types import Tensor


def channel_axis(data_format: str) -> int:
    """Returns the axis of the channels in a batch of feature maps."""
    return -1 if data_format == "channels_last" else 1


def spatial_axes(data_format: str) -> tuple[int, int]:
    """Returns the axes of height and width in a batch of feature maps."""
    return (1, 2) if data_format == "channels_last" else (2, 3)


def global_average_pool(x: Tensor, data_format: str) -> Tensor:
    """GAP of Eq. 4, in float32 at least: `[batch, channels]` from a batch of feature maps."""
    x = in_float32(x)
    if torch_runs_eagerly():
        mean, _ = average.average_and_map(x, data_format)
        return mean
    axes = spatial_axes(data_format)
    height, width = (x.shape[axis] for axis in axes)
    if isinstance(height, int) and isinstance(width, int):
        # The gradient of a mean is divided entry by entry of the map; here it is divided once.
        return ops.sum(x, axis=axes) / (height * width)
    return ops.mean(x, axis=axes)


def average_and_map(x: Tensor, data_format: str) -> tuple[Tensor, Tensor]:
    """Returns `global_average_pool(x)`, and x as everything else should read it.

    With this x, PyTorch adds the gradient of the average to that of the map in one operation.
    """
    if torch_runs_eagerly() and in_float32(x) is x:
        return average.average_and_map(x, data_format)
    return global_average_pool(x, data_format), x


def global_max_pool(x: Tensor, data_format: str) -> Tensor:
    """The largest entry of each channel: `[batch, channels]` from a batch of feature maps."""
    batch, channels = ops.shape(x)[0], x.shape[channel_axis(data_format)]
    shape = (batch, -1, channels) if data_format == "channels_last" else (batch, channels, -1)
    axis = 1 if data_format == "channels_last" else 2
    return ops.squeeze(largest(ops.reshape(x, shape), axis), axis)


def largest(x: Tensor, axis: int) -> Tensor:
    """The maximum along `axis`, which is kept; the gradient goes only to the first of equal maxima.

    On JAX, the gradient of `ops.max` compares the maximum with entries that XLA may have computed a
    second time with different rounding: if none is equal any more, the gradient is 0 / 0.
    """
    if keras.backend.backend() == "torch":
        return largest_torch.largest(x, axis)
    if keras.backend.backend() == "tensorflow":
        from keras_dla.ops.tensorflow import largest as largest_tensorflow

        return largest_tensorflow.largest(x, axis)
    places = ops.argmax(x, axis=axis, keepdims=True)
    return ops.take_along_axis(x, ops.stop_gradient(places), axis=axis)


def per_channel(vector: Tensor, data_format: str) -> Tensor:
    """Shapes `[..., channels]` so that it multiplies a batch of feature maps channel by channel."""
    axis = -2 if data_format == "channels_last" else -1
    return ops.expand_dims(ops.expand_dims(vector, axis), axis)


def repeat_each(x: Tensor, times: int) -> Tensor:
    """Repeats every entry along the last axis: `[..., n]` to `[..., n * times]`."""
    if keras.backend.backend() == "torch":
        return x.unsqueeze(-1).expand(*x.shape, times).reshape(*x.shape[:-1], -1)
    shape = ops.shape(x)
    x = ops.broadcast_to(x[..., None], (*shape, times))
    return ops.reshape(x, (*shape[:-1], shape[-1] * times))


# Last, because some of these read what is above; an import inside a function takes as long as a
# small operation.
if keras.backend.backend() == "torch":
    from keras_dla.ops.torch import average
    from keras_dla.ops.torch import largest as largest_torch
