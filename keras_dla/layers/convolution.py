"""2-D convolution as PyTorch pads it, in either data format on every device."""

import keras
from keras import ops

from keras_dla.layers.channels import per_channel
from keras_dla.layers.devices import is_jax_on_cpu, is_tensorflow_on_cpu
from keras_dla.layers.initializers import he_normal_fan_out
from keras_dla.layers.straight_call import StraightCall


@keras.saving.register_keras_serializable(package="keras_dla")
class Conv2D(StraightCall, keras.layers.Conv2D):
    """A convolution, zero-padded by `(kernel_size - 1) // 2` each side; by default without bias.

    Keras's `padding="same"` pads an even-sized map on one side only where the stride is 2; the
    authors' networks pad both. TensorFlow has no channels-first kernel on the CPU, so there the map
    is transposed around the convolution.

    Args:
        filters: integer, the number of output channels.
        kernel_size: odd integer.
        strides: integer.
        data_format: `"channels_last"` or `"channels_first"`; Keras's own by default.
        **kwargs: further arguments of `keras.layers.Conv2D`, such as `use_bias`.

    Call arguments:
        inputs: `[batch, height, width, channels]` or channels first.

    Returns:
        `[batch, ceil(height / strides), ceil(width / strides), filters]` or channels first.

    Example:
    >>> import numpy as np
    >>> from keras_dla.layers import Conv2D
    >>> convolution = Conv2D(16, 3, strides=2, data_format="channels_last")
    >>> tuple(convolution(np.ones((1, 8, 7, 3), "float32")).shape)
    (1, 4, 4, 16)
    """

    def __init__(
        self, filters: int, kernel_size: int, strides: int = 1, data_format=None, **kwargs
    ):
        kwargs = {"kernel_initializer": he_normal_fan_out(), "use_bias": False, **kwargs}
        kwargs["padding"] = "same"
        super().__init__(filters, kernel_size, strides, data_format=data_format, **kwargs)

    def call(self, inputs):
        outputs = self.convolution_op(inputs, self.kernel)
        if self.use_bias:
            # By the tensors' own sum: on TensorFlow, Keras 3.15 adds a bias along the last axis
            # where its length fits, which in channels first is the width.
            bias = ops.convert_to_tensor(self.bias, dtype=outputs.dtype)
            outputs = outputs + per_channel(bias, self.data_format)
        return outputs if self.activation is None else self.activation(outputs)

    def convolution_op(self, inputs, kernel):
        if keras.backend.backend() == "torch":
            from keras_dla.layers.convolution_torch import conv2d

            kernel = ops.convert_to_tensor(kernel)
            return conv2d(inputs, kernel, self.strides, 1, self.data_format)
        if self.kernel_size == (1, 1) and is_jax_on_cpu():
            from keras_dla.layers.convolution_jax import conv1x1

            kernel = ops.convert_to_tensor(kernel)
            return conv1x1(inputs, kernel, self.strides, self.data_format)
        if self.data_format == "channels_first" and is_tensorflow_on_cpu():
            inputs = ops.transpose(inputs, (0, 2, 3, 1))
            outputs = self._padded_convolution(inputs, kernel, "channels_last")
            return ops.transpose(outputs, (0, 3, 1, 2))
        return self._padded_convolution(inputs, kernel, self.data_format)

    def _padded_convolution(self, inputs, kernel, data_format):
        if self.strides == (1, 1):
            padding = "same"
        else:
            inputs, padding = self._pad(inputs, data_format), "valid"
        return ops.conv(inputs, kernel, self.strides, padding, data_format=data_format)

    def _pad(self, inputs, data_format):
        spatial = [((size - 1) // 2,) * 2 for size in self.kernel_size]
        if not any(sum(pad) for pad in spatial):
            return inputs
        none = (0, 0)
        if data_format == "channels_last":
            return ops.pad(inputs, (none, *spatial, none))
        return ops.pad(inputs, (none, none, *spatial))
