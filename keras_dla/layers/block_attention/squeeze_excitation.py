"""Squeeze-and-excitation (Hu et al., 2018)."""

from typing import Any

import keras
from keras import ops

from keras_dla.layers.block_attention.block_attention import BlockAttention
from keras_dla.layers.flops import kernel_flops
from keras_dla.layers.registry import register_interaction
from keras_dla.ops.channels import global_average_pool
from keras_dla.ops.products import matmul
from keras_dla.utils.types import Tensor
from keras_dla.utils.validation import check_positive_integer, check_reduction


@keras.saving.register_keras_serializable(package="keras_dla")
@register_interaction("se")
class SqueezeExcitation(BlockAttention):
    """Gates the channels of a feature map by its own pooled features.

        x <- x * sigmoid(W2 ReLU(W1 GAP(x))),  W1: C -> C/r, W2: C/r -> C, no biases

    Args:
        reduction: integer, r; at most the number of channels; defaults to 16.
        data_format: string, `"channels_last"` or `"channels_first"`; defaults to Keras's own.

    Call arguments:
        inputs: tensor, `[batch, height, width, channels]` or channels first.
        training: boolean, without effect here; defaults to `None`.

    Returns:
        A tensor of the input's shape.

    Raises:
        ValueError: when `reduction` is not positive or exceeds the number of channels.

    Reference:
        https://arxiv.org/abs/1709.01507

    Example:
    >>> import numpy as np
    >>> from keras_dla.layers import SqueezeExcitation
    >>> attention = SqueezeExcitation(reduction=16, data_format="channels_last")
    >>> tuple(attention(np.ones((2, 8, 8, 64), "float32")).shape)
    (2, 8, 8, 64)
    """

    def __init__(self, reduction: int = 16, data_format: str | None = None, **kwargs: Any):
        check_positive_integer("reduction", reduction)
        super().__init__(data_format, **kwargs)
        self.reduction = reduction

    def build(self, input_shape: tuple) -> None:
        channels = self.build_channels(input_shape)
        check_reduction(self.reduction, channels)
        hidden = channels // self.reduction
        self.reduce_kernel = self.add_kernel("reduce_kernel", channels, hidden)
        self.expand_kernel = self.add_kernel("expand_kernel", hidden, channels)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        y = global_average_pool(inputs, self.data_format)
        hidden = ops.relu(matmul(y, self.reduce_kernel))
        gate = ops.sigmoid(matmul(hidden, self.expand_kernel))
        return ops.cast(inputs, self.compute_dtype) * self.per_channel(gate)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def flops(self, inputs: Tensor) -> dict[str, int]:
        return {"gate": kernel_flops(self.reduce_kernel, self.expand_kernel)}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "reduction": self.reduction}
