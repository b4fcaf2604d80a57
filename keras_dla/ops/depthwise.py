"""Depthwise 3x3 convolution, the costliest part of layer attention, in its fastest form."""

from collections.abc import Callable

import keras
from keras import ops

from keras_dla.ops.channels import per_channel
from keras_dla.ops.devices import is_jax_on_cpu
from keras_dla.utils.types import Tensor


def depthwise_native(x: Tensor, kernel: Tensor, data_format: str) -> Tensor:
    """The backend's own grouped convolution. `kernel` is `[3, 3, channels]`."""
    return ops.depthwise_conv(
        x, ops.expand_dims(kernel, -1), padding="same", data_format=data_format
    )


def depthwise_shifted(x: Tensor, kernel: Tensor, data_format: str) -> Tensor:
    """The same convolution as nine shifted multiply-adds, which a compiler fuses into one loop."""
    if data_format == "channels_last":
        height, width = ops.shape(x)[1:3]
        padded = ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        shifted = [padded[:, i : i + height, j : j + width, :] for i in range(3) for j in range(3)]
    else:
        height, width = ops.shape(x)[2:4]
        padded = ops.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        shifted = [padded[:, :, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    taps = ops.reshape(kernel, (9, -1))
    return sum(part * per_channel(taps[n], data_format) for n, part in enumerate(shifted))


def depthwise_conv3x3(x: Tensor, kernel: Tensor, data_format: str) -> Tensor:
    """Depthwise convolution in the fastest form for the backend and its device.

    `benchmarks/depthwise.py` prints the measurements behind the choice.

    Args:
        x: `[batch, height, width, channels]` or channels first.
        kernel: `[3, 3, channels]`.
        data_format: `"channels_last"` or `"channels_first"`.
    """
    return fastest_form()(x, kernel, data_format)


def fastest_form() -> Callable[[Tensor, Tensor, str], Tensor]:
    """Returns the function that convolves fastest here."""
    # Not cached: PyTorch's compiler warns of caches.
    if keras.backend.backend() == "torch":
        return convolution.depthwise_torch
    if keras.backend.backend() == "tensorflow":
        from keras_dla.ops.tensorflow.depthwise import depthwise_tensorflow

        return depthwise_tensorflow
    if is_jax_on_cpu():
        from keras_dla.ops.jax.depthwise import depthwise_jax

        return depthwise_jax
    return depthwise_native


# Last, because some of these read what is above; an import inside a function takes as long as a
# small operation.
if keras.backend.backend() == "torch":
    from keras_dla.ops.torch import convolution
