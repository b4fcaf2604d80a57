"""The non-local block (Wang et al., 2018), and the reshaping between maps and positions."""

import math
from typing import Any

import keras
from keras import ops

from keras_dla.layers.block_attention.block_attention import BlockAttention, BlockPlace
from keras_dla.layers.core.batch_normalization import BatchNormalization
from keras_dla.layers.core.linear import Linear
from keras_dla.layers.flops import kernel_flops, positions
from keras_dla.layers.registry import register_interaction
from keras_dla.ops.channels import spatial_axes
from keras_dla.ops.pooling import max_pool
from keras_dla.ops.products import matmul
from keras_dla.ops.softmax import softmax
from keras_dla.utils.types import Tensor
from keras_dla.utils.validation import check_choice, check_positive_integer

# How many of the five blocks are in which stage (from 0): the paper's res3 and res4.
BLOCKS_IN_STAGE = {1: 2, 2: 3}


def is_one_of_five(place: BlockPlace) -> bool:
    """Returns whether one of a network's five blocks follows the residual block `place`.

    Two are in the second stage and three in the third, evenly spaced and never after two
    consecutive residual blocks, so that a short stage has fewer. For ResNet-50 and -101 these are
    the places of the authors' code.
    """
    count = BLOCKS_IN_STAGE.get(place.stage, 0)
    if count == 0:
        return False
    step = min(max(place.depth // count, 2), place.depth)
    number, rest = divmod(place.index + 1, step)
    return rest == 0 and number <= count


def is_before_the_last(place: BlockPlace) -> bool:
    """Returns whether the next residual block is the last one of the third stage, res4."""
    return place.stage == 2 and place.index == max(place.depth - 2, 0)


PLACES = {5: is_one_of_five, 1: is_before_the_last}


def to_positions(x: Tensor, data_format: str) -> Tensor:
    """Returns a batch of feature maps as `[batch, positions, channels]`."""
    shape = ops.shape(x)
    if data_format == "channels_last":
        return ops.reshape(x, (shape[0], -1, shape[3]))
    return ops.swapaxes(ops.reshape(x, (shape[0], shape[1], -1)), 1, 2)


def to_maps(rows: Tensor, like: Tensor, data_format: str) -> Tensor:
    """Returns `[batch, positions, channels]` as feature maps of the height and width of `like`."""
    shape, channels = ops.shape(like), rows.shape[-1]
    if data_format == "channels_last":
        return ops.reshape(rows, (shape[0], shape[1], shape[2], channels))
    return ops.reshape(ops.swapaxes(rows, 1, 2), (shape[0], channels, shape[2], shape[3]))


@keras.saving.register_keras_serializable(package="keras_dla")
@register_interaction("nl")
class NonLocal(BlockAttention):
    """Adds to every position a weighted mean over all positions (NL, embedded Gaussian).

        z_i = x_i + BN(W_z sum over j of softmax_j(theta(x_i) phi(x'_j) / sqrt(C/2)) g(x'_j))
        theta, phi, g: C -> C/2, W_z: C/2 -> C, 1x1 convolutions with biases

    x' is x after a max pooling, the paper's subsampling. The paper's equation does not divide by
    sqrt(C/2); the authors' code does. As there, the kernels are initialised normally with deviation
    0.01, and the biases and the BN's gamma with zeros, so that the layer starts as the identity.
    The bias of phi cancels in the softmax and, in training, those of g and W_z in the BN.

    The weights take O(positions^2) memory, `positions^2 / pool_size^2` numbers per image, kept for
    the backward pass: 0.15 million for a map of 28 x 28, 4.4 million for one of 50 x 84.

    In a network the layer follows the last ReLU of some residual blocks only. The paper's network
    for classification has five: two in the second stage and three in the third, res3 and res4,
    evenly spaced, which is after every other residual block in ResNet-50. Its network for detection
    has one, right before the last residual block of the third stage. Networks of three stages have
    the layer in the same two stages; if a stage is too short, there are fewer than five.

    Args:
        blocks: integer, 5 or 1, how many of a network's residual blocks have the layer; defaults
            to 5.
        pool_size: integer, size and stride of the max pooling before phi and g, 1 for none;
            defaults to 2.
        data_format: string, `"channels_last"` or `"channels_first"`; defaults to Keras's own.

    Call arguments:
        inputs: tensor, `[batch, height, width, channels]` or channels first.
        training: boolean, whether the BN normalises with the batch's statistics; defaults
            to `None`, as Keras decides.

    Returns:
        A tensor of the input's shape.

    Raises:
        ValueError: when `blocks` is neither 5 nor 1, `pool_size` is not positive, or the input is
            known to be smaller than `pool_size`.

    Reference:
        https://arxiv.org/abs/1711.07971

    Example:
    >>> import numpy as np
    >>> from keras_dla.layers import NonLocal
    >>> attention = NonLocal(data_format="channels_last")
    >>> tuple(attention(np.ones((2, 8, 8, 64), "float32")).shape)
    (2, 8, 8, 64)
    """

    position = "output"

    def __init__(
        self, blocks: int = 5, pool_size: int = 2, data_format: str | None = None, **kwargs: Any
    ):
        check_choice("blocks", blocks, tuple(PLACES))
        check_positive_integer("pool_size", pool_size)
        super().__init__(data_format, **kwargs)
        self.blocks = blocks
        self.pool_size = pool_size

    def for_block(self, place: BlockPlace, name: str | None = None) -> "NonLocal | None":
        return super().for_block(place, name) if PLACES[self.blocks](place) else None

    def build(self, input_shape: tuple) -> None:
        channels = self.build_channels(input_shape)
        self._check_size(input_shape)
        hidden = max(channels // 2, 1)
        self.theta = self._linear("theta", channels, hidden)
        self.phi = self._linear("phi", channels, hidden)
        self.g = self._linear("g", channels, hidden)
        self.expand = self._linear("expand", hidden, channels)
        self.norm = BatchNormalization(
            self.data_format, gamma_initializer="zeros", dtype=self.dtype_policy, name="norm"
        )
        self.norm.build(input_shape)

    def _check_size(self, shape):
        for axis in spatial_axes(self.data_format):
            if shape[axis] is not None and shape[axis] < self.pool_size:
                raise ValueError(
                    f"`inputs` must be at least `pool_size` ({self.pool_size}) high and wide, "
                    f"but has shape {tuple(shape)}."
                )

    def _linear(self, name, inputs, outputs):
        normal = keras.initializers.RandomNormal(stddev=0.01)
        layer = Linear(outputs, kernel_initializer=normal, dtype=self.dtype_policy, name=name)
        layer.build((None, None, inputs))
        return layer

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        x = ops.cast(inputs, self.compute_dtype)
        rows = pooled = to_positions(x, self.data_format)
        if self.pool_size > 1:
            smaller = max_pool(x, self.pool_size, self.data_format)
            pooled = to_positions(smaller, self.data_format)
        weights = self._weights(self.theta(rows), self.phi(pooled))
        mean = self.expand(matmul(weights, self.g(pooled)))
        return x + self.norm(to_maps(mean, x, self.data_format), training=training)

    def _weights(self, query, key):
        """Returns `[batch, positions, positions of the pooled map]`; each row sums to one."""
        # Dividing the query instead of the scores keeps the scores in the range of float16.
        query = query / math.sqrt(query.shape[-1])
        scores = matmul(query, ops.swapaxes(key, 1, 2))
        weights = softmax(ops.cast(scores, self.variable_dtype), axis=-1)
        return ops.cast(weights, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def flops(self, inputs: Tensor) -> dict[str, int]:
        axes = spatial_axes(self.data_format)
        places = positions(inputs, self.data_format)
        pooled = math.prod(inputs.shape[axis] // self.pool_size for axis in axes)
        products = places * pooled * self.theta.units
        return {
            "projections": kernel_flops(self.theta.kernel, self.expand.kernel, times=places)
            + kernel_flops(self.phi.kernel, self.g.kernel, times=pooled),
            "scores": products,
            "weighted sum": products,
        }

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "blocks": self.blocks, "pool_size": self.pool_size}
