"""Efficient channel attention (Wang et al., 2020)."""

import keras
from keras import ops

from keras_dla.layers.block_attention.block_attention import BlockAttention
from keras_dla.layers.flops import kernel_flops
from keras_dla.layers.initializers import torch_uniform
from keras_dla.layers.registry import register_interaction
from keras_dla.ops.channel_convolution import adaptive_kernel_size, convolve_channels
from keras_dla.ops.channels import channel_axis, global_average_pool
from keras_dla.utils.types import Tensor


@keras.saving.register_keras_serializable(package="keras_dla")
@register_interaction("eca")
class EfficientChannelAttention(BlockAttention):
    """Gates the channels of a feature map by a convolution along its pooled channels.

        x <- x * sigmoid(conv1d(GAP(x))),  kernel size t = |(log2 C + 1) / 2| made odd

    Args:
        data_format: string, `"channels_last"` or `"channels_first"`; defaults to Keras's own.

    Call arguments:
        inputs: tensor, `[batch, height, width, channels]` or channels first.
        training: boolean, without effect here; defaults to `None`.

    Returns:
        A tensor of the input's shape.

    Raises:
        ValueError: when `data_format` or the number of channels is unknown.

    Reference:
        https://arxiv.org/abs/1910.03151

    Example:
    >>> import numpy as np
    >>> from keras_dla.layers import EfficientChannelAttention
    >>> attention = EfficientChannelAttention(data_format="channels_last")
    >>> tuple(attention(np.ones((2, 8, 8, 64), "float32")).shape)
    (2, 8, 8, 64)
    """

    def build(self, input_shape: tuple) -> None:
        channels = self.build_channels(input_shape)
        size = adaptive_kernel_size(channels)
        self.kernel = self.add_vector_weight("kernel", (size,), torch_uniform(size))

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        y = ops.cast(global_average_pool(inputs, self.data_format), self.variable_dtype)
        gate = ops.sigmoid(convolve_channels(y, self.kernel))
        return ops.cast(inputs, self.compute_dtype) * self.per_channel(gate)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def flops(self, inputs: Tensor) -> dict[str, int]:
        return {
            "gate": kernel_flops(self.kernel, times=inputs.shape[channel_axis(self.data_format)])
        }
