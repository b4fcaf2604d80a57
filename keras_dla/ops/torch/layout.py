"""Feature maps as PyTorch's functions read them: channels-last maps as channels-first views."""

from typing import Any

import torch

from keras_dla.utils.types import Tensor


def channels_first(x: Tensor, data_format: str) -> Tensor:
    """Returns a view of a batch of feature maps, `[batch, channels, height, width]`."""
    return x if data_format == "channels_first" else x.permute(0, 3, 1, 2)


def as_it_was(x: Tensor, data_format: str) -> Tensor:
    """Returns the view in `data_format` again."""
    return x if data_format == "channels_first" else x.permute(0, 2, 3, 1)


def keep_as_read(variable: Any, data_format: str) -> None:
    """Stores a kernel in the memory layout that PyTorch's convolutions read.

    The shape stays `[height, width, channels, filters]`, or `[height, width, channels]` of a
    depthwise kernel. In any other layout, PyTorch copies kernels and their gradients at every call.

    Args:
        variable: `keras.Variable`, a convolution's kernel.
        data_format: `"channels_last"` or `"channels_first"`.
    """
    value = variable.value.data
    if value.is_meta:
        return
    if value.ndim == 3:
        value = value.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    else:
        order = torch.channels_last if data_format == "channels_last" else torch.contiguous_format
        value = value.permute(3, 2, 0, 1).contiguous(memory_format=order).permute(2, 3, 1, 0)
    variable.value.data = value
