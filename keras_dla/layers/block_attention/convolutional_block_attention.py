"""Convolutional block attention module, CBAM (Woo et al., 2018)."""

from typing import Any

import keras
from keras import ops

from keras_dla.layers.block_attention.block_attention import BlockAttention
from keras_dla.layers.core.batch_normalization import BatchNormalization
from keras_dla.layers.core.convolution import Conv2D
from keras_dla.layers.flops import kernel_flops, positions
from keras_dla.layers.registry import register_interaction
from keras_dla.ops.channels import channel_axis, global_average_pool, global_max_pool, largest
from keras_dla.ops.products import matmul
from keras_dla.utils.types import Tensor
from keras_dla.utils.validation import check_positive_integer, check_reduction


@keras.saving.register_keras_serializable(package="keras_dla")
@register_interaction("cbam")
class ConvolutionalBlockAttention(BlockAttention):
    """Gates a feature map channel by channel, then position by position (CBAM).

        F' = F * sigmoid(MLP(AvgPool(F)) + MLP(MaxPool(F)))
        F'' = F' * sigmoid(BN(f7x7([max over channels(F'); mean over channels(F')])))
        MLP(y) = W1 ReLU(W0 y),  W0: C -> C/r, W1: C/r -> C

    The paper's equations have neither the BN (epsilon 1e-5, momentum 0.01 in PyTorch's sense) nor
    the biases of the MLP; the authors' code has both, and so has this layer. The initial values are
    theirs too: the BN's gamma is zero, so that at first the gate of every position is 1/2.

    Args:
        reduction: integer, r; at most the number of channels; defaults to 16.
        data_format: string, `"channels_last"` or `"channels_first"`; defaults to Keras's own.

    Call arguments:
        inputs: tensor, `[batch, height, width, channels]` or channels first.
        training: boolean, whether the BN normalises with the batch's statistics; defaults
            to `None`, as Keras decides.

    Returns:
        A tensor of the input's shape.

    Raises:
        ValueError: when `reduction` is not positive or exceeds the number of channels.

    Reference:
        https://arxiv.org/abs/1807.06521

    Example:
    >>> import numpy as np
    >>> from keras_dla.layers import ConvolutionalBlockAttention
    >>> attention = ConvolutionalBlockAttention(reduction=16, data_format="channels_last")
    >>> tuple(attention(np.ones((2, 8, 8, 64), "float32")).shape)
    (2, 8, 8, 64)
    """

    def __init__(self, reduction: int = 16, data_format: str | None = None, **kwargs: Any):
        check_positive_integer("reduction", reduction)
        super().__init__(data_format, **kwargs)
        self.reduction = reduction

    def build(self, input_shape: tuple) -> None:
        axis = channel_axis(self.data_format)
        channels = self.build_channels(input_shape)
        check_reduction(self.reduction, channels)
        hidden = channels // self.reduction
        self.reduce_kernel, self.reduce_bias = self._linear("reduce", channels, hidden)
        self.expand_kernel, self.expand_bias = self._linear("expand", hidden, channels)
        self._build_spatial_gate(list(input_shape), axis)

    def _linear(self, name, inputs, outputs):
        return (
            self.add_kernel(f"{name}_kernel", inputs, outputs),
            self.add_vector_weight(f"{name}_bias", (outputs,), "zeros"),
        )

    def _build_spatial_gate(self, shape, axis):
        # These maps are statistics of the features, so they stay in the variable dtype.
        kwargs = {"data_format": self.data_format, "dtype": self.variable_dtype}
        self.convolution = Conv2D(1, 7, name="convolution", **kwargs)
        self.norm = BatchNormalization(
            momentum=0.99, gamma_initializer="zeros", name="norm", **kwargs
        )
        shape[axis] = 2
        self.convolution.build(tuple(shape))
        shape[axis] = 1
        self.norm.build(tuple(shape))

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        x = ops.cast(inputs, self.compute_dtype)
        x = x * self._channel_gate(x)
        return x * self._spatial_gate(x, training)

    def _channel_gate(self, x):
        average = global_average_pool(x, self.data_format)
        maximum = ops.cast(global_max_pool(x, self.data_format), self.variable_dtype)
        gate = ops.sigmoid(self._perceptron(average) + self._perceptron(maximum))
        return self.per_channel(gate)

    def _perceptron(self, y):
        hidden = ops.relu(matmul(y, self.reduce_kernel) + self.reduce_bias)
        return matmul(hidden, self.expand_kernel) + self.expand_bias

    def _spatial_gate(self, x, training):
        axis = channel_axis(self.data_format)
        maximum = ops.cast(largest(x, axis), self.variable_dtype)
        total = ops.sum(ops.cast(x, self.variable_dtype), axis=axis, keepdims=True)
        average = total / x.shape[axis]  # Keras's mean of float64 is one in float32.
        logits = self.convolution(ops.concatenate([maximum, average], axis=axis))
        gate = ops.sigmoid(self.norm(logits, training=training))
        return ops.cast(gate, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def flops(self, inputs: Tensor) -> dict[str, int]:
        places = positions(inputs, self.data_format)
        return {
            # For the mean and for the maximum.
            "channel gate": kernel_flops(self.reduce_kernel, self.expand_kernel, times=2),
            "spatial gate": kernel_flops(self.convolution.kernel, times=places),
        }

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "reduction": self.reduction}
