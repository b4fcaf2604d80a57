"""Global context block, GCNet (Cao et al., 2019)."""

import math
from typing import Any

import keras
from keras import ops

from keras_dla.layers.block_attention.block_attention import BlockAttention, BlockPlace
from keras_dla.layers.flops import entries, kernel_flops, positions
from keras_dla.layers.initializers import torch_uniform
from keras_dla.layers.registry import register_interaction
from keras_dla.ops.channels import channel_axis
from keras_dla.ops.products import matmul
from keras_dla.ops.softmax import softmax
from keras_dla.utils.types import Tensor
from keras_dla.utils.validation import check_positive_integer, check_reduction


@keras.saving.register_keras_serializable(package="keras_dla")
@register_interaction("gc")
class GlobalContext(BlockAttention):
    """Adds to every position one context vector that attention gathers from all positions (GC).

        z_i = x_i + W_v2 ReLU(LN(W_v1 sum over j of softmax_j(W_k x_j) x_j))
        W_k: C -> 1, W_v1: C -> C/r, W_v2: C/r -> C

    All three maps have biases, as in the authors' code, where W_v2 and its bias are initialised
    with zeros, so that the layer starts as the identity. The bias of W_k cancels in the softmax.

    In a network, the blocks of the first stages have no GC: the authors put it after the last BN of
    every block of c3 to c5, the last three stages, and call that all layers. A network of three
    stages has it in every block.

    Args:
        reduction: integer, r; at most the number of channels; defaults to 16.
        last_stages: integer, how many of a network's stages have the layer, counted from the last;
            defaults to 3.
        data_format: string, `"channels_last"` or `"channels_first"`; defaults to Keras's own.

    Call arguments:
        inputs: tensor, `[batch, height, width, channels]` or channels first.
        training: boolean, without effect here; defaults to `None`.

    Returns:
        A tensor of the input's shape.

    Raises:
        ValueError: when `reduction` or `last_stages` is not positive, or `reduction` exceeds the
            number of channels.

    Reference:
        https://arxiv.org/abs/1904.11492

    Example:
    >>> import numpy as np
    >>> from keras_dla.layers import GlobalContext
    >>> attention = GlobalContext(reduction=16, data_format="channels_last")
    >>> tuple(attention(np.ones((2, 8, 8, 64), "float32")).shape)
    (2, 8, 8, 64)
    """

    def __init__(
        self,
        reduction: int = 16,
        last_stages: int = 3,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        check_positive_integer("reduction", reduction)
        check_positive_integer("last_stages", last_stages)
        super().__init__(data_format, **kwargs)
        self.reduction = reduction
        self.last_stages = last_stages

    def for_block(self, place: BlockPlace, name: str | None = None) -> "GlobalContext | None":
        if place.stage < place.stages - self.last_stages:
            return None
        return super().for_block(place, name)

    def build(self, input_shape: tuple) -> None:
        channels = self.build_channels(input_shape)
        check_reduction(self.reduction, channels)
        hidden = channels // self.reduction
        uniform = torch_uniform(channels)
        normal = keras.initializers.RandomNormal(stddev=math.sqrt(2.0 / channels))
        self.score_kernel = self.add_vector_weight("score_kernel", (channels,), normal)
        self.score_bias = self.add_vector_weight("score_bias", (1,), "zeros")
        self.reduce_kernel = self.add_vector_weight("reduce_kernel", (channels, hidden), uniform)
        self.reduce_bias = self.add_vector_weight("reduce_bias", (hidden,), uniform)
        # The vector is in the variable dtype, and must stay in it.
        self.norm = keras.layers.LayerNormalization(
            epsilon=1e-5, dtype=self.variable_dtype, name="norm"
        )
        self.norm.build((None, hidden))
        self.expand_kernel = self.add_vector_weight("expand_kernel", (hidden, channels), "zeros")
        self.expand_bias = self.add_vector_weight("expand_bias", (channels,), "zeros")

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        x = ops.cast(inputs, self.compute_dtype)
        hidden = matmul(self._context(x), self.reduce_kernel) + self.reduce_bias
        hidden = ops.relu(self.norm(hidden))
        added = matmul(hidden, self.expand_kernel) + self.expand_bias
        return x + self.per_channel(added)

    def _context(self, x):
        """Returns the weighted mean over all positions, `[batch, channels]`."""
        # By positions, [batch, height * width, channels], because no exporter supports every
        # einsum.
        batch, channels = ops.shape(x)[0], x.shape[channel_axis(self.data_format)]
        if self.data_format == "channels_last":
            x = ops.reshape(x, (batch, -1, channels))
        else:
            x = ops.transpose(ops.reshape(x, (batch, channels, -1)), (0, 2, 1))
        kernel = ops.cast(self.score_kernel, self.compute_dtype)
        scores = ops.cast(matmul(x, ops.expand_dims(kernel, -1)), self.variable_dtype)
        weights = softmax(scores + self.score_bias, axis=1)
        # The sum reads the map in its own dtype: a wider copy would be kept for the backward pass.
        weights = ops.cast(ops.transpose(weights, (0, 2, 1)), self.compute_dtype)
        return ops.cast(ops.squeeze(matmul(weights, x), 1), self.variable_dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def flops(self, inputs: Tensor) -> dict[str, int]:
        places = positions(inputs, self.data_format)
        return {
            "scores": kernel_flops(self.score_kernel, times=places),
            "weighted sum": entries(inputs),
            "transform": kernel_flops(self.reduce_kernel, self.expand_kernel),
        }

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "reduction": self.reduction,
            "last_stages": self.last_stages,
        }
