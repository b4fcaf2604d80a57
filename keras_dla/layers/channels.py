"""Where the channels of a feature map lie, and what is done along them."""

import keras
from keras import ops


def channel_axis(data_format: str) -> int:
    """Returns the axis of the channels in a batch of feature maps."""
    return -1 if data_format == "channels_last" else 1


def spatial_axes(data_format: str) -> tuple[int, int]:
    """Returns the axes of height and width in a batch of feature maps."""
    return (1, 2) if data_format == "channels_last" else (2, 3)


def global_average_pool(x, data_format: str):
    """GAP of Eq. 4, in float32 at least: `[batch, channels]` from a batch of feature maps."""
    if keras.backend.standardize_dtype(x.dtype) != "float64":
        x = ops.cast(x, "float32")
    return ops.mean(x, axis=spatial_axes(data_format))


def per_channel(vector, data_format: str):
    """Shapes `[..., channels]` so that it multiplies a batch of feature maps channel by channel."""
    axis = -2 if data_format == "channels_last" else -1
    return ops.expand_dims(ops.expand_dims(vector, axis), axis)
