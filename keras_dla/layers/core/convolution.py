"""2-D convolution with PyTorch's padding, in either data format on every device."""

from typing import Any

import keras
from keras import ops

from keras_dla.layers.initializers import he_normal_fan_out
from keras_dla.ops.channels import per_channel
from keras_dla.ops.convolution import conv2d, keep_as_read
from keras_dla.utils.types import Tensor


@keras.saving.register_keras_serializable(package="keras_dla")
class Conv2D(keras.layers.Conv2D):
    """A convolution, zero-padded by `(kernel_size - 1) // 2` on each side; without bias by default.

    Keras's `padding="same"` pads an even-sized map on one side only if the stride is 2; the
    authors' networks pad both sides. TensorFlow has no channels-first kernel on the CPU, so there
    the map is transposed around the convolution.

    Args:
        filters: integer, the number of output channels.
        kernel_size: odd integer.
        strides: integer; defaults to `1`.
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

    runs_by_call = True

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        strides: int = 1,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        kwargs = {"kernel_initializer": he_normal_fan_out(), "use_bias": False, **kwargs}
        kwargs["padding"] = "same"
        super().__init__(filters, kernel_size, strides, data_format=data_format, **kwargs)

    def build(self, input_shape: tuple) -> None:
        super().build(input_shape)
        keep_as_read(self.kernel, self.data_format)

    def call(self, inputs: Tensor) -> Tensor:
        outputs = self.convolution_op(inputs, self.kernel)
        if self.use_bias:
            # By the tensors' own addition: on TensorFlow, Keras 3.15 adds a bias along the last
            # axis if its length fits, and in channels first that is the width.
            bias = ops.convert_to_tensor(self.bias, dtype=outputs.dtype)
            outputs = outputs + per_channel(bias, self.data_format)
        return outputs if self.activation is None else self.activation(outputs)

    def can_infer(self) -> bool:
        """Returns whether the layer is a convolution, possibly with bias and ReLU, and no more."""
        simple = self.activation in (None, keras.activations.linear) or self.rectifies()
        own = type(self).call is Conv2D.call and not self.lora_enabled
        return own and simple and self.compute_dtype == self.variable_dtype

    def rectifies(self) -> bool:
        """Returns whether the layer's own activation is a ReLU."""
        return self.activation is keras.activations.relu

    def convolution_op(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        return conv2d(inputs, kernel, self.strides, self.data_format)
