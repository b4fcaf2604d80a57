"""Local pooling of feature maps."""

import keras
from keras import ops

from keras_dla.utils.types import Tensor


def average_halved(x: Tensor, data_format: str) -> Tensor:
    """Averages windows of 2x2 pixels; the last row or column of an odd number is averaged alone.

    Args:
        x: `[batch, height, width, channels]` or channels first.
        data_format: `"channels_last"` or `"channels_first"`.

    Returns:
        `[batch, ceil(height / 2), ceil(width / 2), channels]` or channels first.
    """
    if keras.backend.backend() == "torch":
        return pooling_torch.average_halved(x, data_format)
    if keras.backend.backend() == "jax":
        from keras_dla.ops.jax import pooling as pooling_jax

        return pooling_jax.average_halved(x, data_format)
    return ops.average_pool(x, 2, 2, padding="same", data_format=data_format)


def max_pool(x: Tensor, size: int, data_format: str) -> Tensor:
    """Returns the maximum of windows of `size` x `size` pixels; a rest at the end is left out.

    Args:
        x: `[batch, height, width, channels]` or channels first.
        size: integer.
        data_format: `"channels_last"` or `"channels_first"`.

    Returns:
        `[batch, height // size, width // size, channels]` or channels first.
    """
    if keras.backend.backend() == "jax":
        from keras_dla.ops.jax import pooling as pooling_jax

        return pooling_jax.max_pool(x, size, data_format)
    return ops.max_pool(x, size, size, data_format=data_format)


# Last, because some of these read what is above; an import inside a function takes as long as a
# small operation.
if keras.backend.backend() == "torch":
    from keras_dla.ops.torch import pooling as pooling_torch
