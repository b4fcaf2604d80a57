"""2-D convolution with PyTorch's padding, in either data format on every device."""

import keras
from keras import ops

from keras_dla.ops.devices import is_jax_on_cpu, is_tensorflow_on_cpu
from keras_dla.utils.types import Tensor


def conv2d(x: Tensor, kernel: Tensor, strides: tuple[int, int], data_format: str) -> Tensor:
    """Convolves with zeros of `(size - 1) // 2` on each side of the map.

    Args:
        x: `[batch, height, width, channels]` or channels first.
        kernel: `[height, width, channels, filters]`, odd-sized.
        strides: tuple of two integers.
        data_format: `"channels_last"` or `"channels_first"`.

    Returns:
        `[batch, ceil(height / strides), ceil(width / strides), filters]` or channels first.
    """
    if keras.backend.backend() == "torch":
        return torch_convolution.conv2d(x, ops.convert_to_tensor(kernel), strides, 1, data_format)
    if tuple(kernel.shape[:2]) == (1, 1) and is_jax_on_cpu():
        from keras_dla.ops.jax.convolution import conv1x1

        return conv1x1(x, ops.convert_to_tensor(kernel), strides, data_format)
    if data_format == "channels_first" and is_tensorflow_on_cpu():
        x = ops.transpose(x, (0, 2, 3, 1))
        return ops.transpose(_padded(x, kernel, strides, "channels_last"), (0, 3, 1, 2))
    return _padded(x, kernel, strides, data_format)


def _padded(x, kernel, strides, data_format):
    if tuple(strides) == (1, 1):
        return ops.conv(x, kernel, strides, "same", data_format=data_format)
    spatial = [((size - 1) // 2,) * 2 for size in kernel.shape[:2]]
    if any(sum(pad) for pad in spatial):
        none = (0, 0)
        last = data_format == "channels_last"
        x = ops.pad(x, (none, *spatial, none) if last else (none, none, *spatial))
    return ops.conv(x, kernel, strides, "valid", data_format=data_format)


def keep_as_read(kernel: keras.Variable, data_format: str) -> None:
    """Stores a kernel in the memory layout that the backend's convolutions read.

    Args:
        kernel: variable `[height, width, channels, filters]`, or `[height, width, channels]` for a
            depthwise convolution.
        data_format: `"channels_last"` or `"channels_first"`.
    """
    if keras.backend.backend() == "torch":
        layout.keep_as_read(kernel, data_format)


# Last, because some of these read what is above; an import inside a function takes as long as a
# small operation.
if keras.backend.backend() == "torch":
    from keras_dla.ops.torch import convolution as torch_convolution
    from keras_dla.ops.torch import layout
