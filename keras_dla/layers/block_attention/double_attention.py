"""The double attention block, A2-Nets (Chen et al., 2018)."""

from typing import Any

import keras
from keras import ops

from keras_dla.layers.block_attention.block_attention import BlockAttention, BlockPlace
from keras_dla.layers.block_attention.non_local import is_one_of_five, to_maps, to_positions
from keras_dla.layers.core.batch_normalization import BatchNormalization
from keras_dla.layers.core.linear import Linear
from keras_dla.layers.flops import kernel_flops, positions
from keras_dla.layers.registry import register_interaction
from keras_dla.ops.products import matmul
from keras_dla.ops.softmax import softmax
from keras_dla.utils.types import Tensor
from keras_dla.utils.validation import check_positive_integer, check_reduction


@keras.saving.register_keras_serializable(package="keras_dla")
@register_interaction("a2")
class DoubleAttention(BlockAttention):
    """Gathers a few descriptors of the whole map and gives each position a mixture of them (A2).

        G = phi(X) softmax(theta(X))^T          softmax over positions: n descriptors
        Z = G softmax(rho(X))                   softmax over channels: a mixture per position
        X <- X + BN(W Z)
        phi: C -> m, theta, rho: C -> n, W: m -> C, 1x1 convolutions, m = n = C/r

    m, n and C/4 are the paper's. It publishes no code, so what it leaves open is as in the code of
    the first author's next paper, GloRe (2019): phi, theta and rho have biases and W has none, the
    kernels are initialised Glorot uniform, and the biases and the BN's gamma with zeros, so that
    the layer starts as the identity. The bias of theta cancels in the softmax and, in training,
    that of phi in the BN.

    In a network the layer follows the last ReLU of some residual blocks only: five, as in the
    paper's ResNet-50, two in the second stage and three in the third, spaced as `NonLocal` is. If a
    stage is too short, there are fewer.

    Args:
        reduction: integer, r; at most the number of channels; defaults to 4.
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
        https://arxiv.org/abs/1810.11579

    Example:
    >>> import numpy as np
    >>> from keras_dla.layers import DoubleAttention
    >>> attention = DoubleAttention(reduction=4, data_format="channels_last")
    >>> tuple(attention(np.ones((2, 8, 8, 64), "float32")).shape)
    (2, 8, 8, 64)
    """

    position = "output"

    def __init__(self, reduction: int = 4, data_format: str | None = None, **kwargs: Any):
        check_positive_integer("reduction", reduction)
        super().__init__(data_format, **kwargs)
        self.reduction = reduction

    def for_block(self, place: BlockPlace, name: str | None = None) -> "DoubleAttention | None":
        return super().for_block(place, name) if is_one_of_five(place) else None

    def build(self, input_shape: tuple) -> None:
        channels = self.build_channels(input_shape)
        check_reduction(self.reduction, channels)
        hidden = channels // self.reduction
        self.phi = self._linear("phi", channels, hidden)
        self.theta = self._linear("theta", channels, hidden)
        self.rho = self._linear("rho", channels, hidden)
        self.expand = self._linear("expand", hidden, channels, use_bias=False)
        self.norm = BatchNormalization(
            self.data_format, gamma_initializer="zeros", dtype=self.dtype_policy, name="norm"
        )
        self.norm.build(input_shape)

    def _linear(self, name, inputs, outputs, use_bias=True):
        layer = Linear(outputs, use_bias=use_bias, dtype=self.dtype_policy, name=name)
        layer.build((None, None, inputs))
        return layer

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        x = ops.cast(inputs, self.compute_dtype)
        rows = to_positions(x, self.data_format)
        gather = self._softmax(self.theta(rows), axis=1)
        distribute = self._softmax(self.rho(rows), axis=2)
        # [batch, n, m]: there is never a matrix of positions by positions.
        descriptors = matmul(ops.swapaxes(gather, 1, 2), self.phi(rows))
        mixtures = self.expand(matmul(distribute, descriptors))
        return x + self.norm(to_maps(mixtures, x, self.data_format), training=training)

    def _softmax(self, scores, axis):
        weights = softmax(ops.cast(scores, self.variable_dtype), axis=axis)
        return ops.cast(weights, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def flops(self, inputs: Tensor) -> dict[str, int]:
        places = positions(inputs, self.data_format)
        kernels = [layer.kernel for layer in (self.phi, self.theta, self.rho, self.expand)]
        products = places * self.phi.units * self.theta.units
        return {
            "projections": kernel_flops(*kernels, times=places),
            "gathering": products,
            "distribution": products,
        }

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "reduction": self.reduction}
