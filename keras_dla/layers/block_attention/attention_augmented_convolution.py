"""Attention-augmented convolution, AA (Bello et al., 2019)."""

import math
from typing import Any

import keras
from keras import ops

from keras_dla.layers.base_config import clone_layer
from keras_dla.layers.block_attention.block_attention import BlockAttention, BlockPlace
from keras_dla.layers.core.convolution import Conv2D
from keras_dla.layers.flops import kernel_flops
from keras_dla.layers.registry import register_interaction
from keras_dla.ops.channels import channel_axis, spatial_axes
from keras_dla.ops.cheap import split
from keras_dla.ops.products import einsum, matmul
from keras_dla.ops.softmax import softmax
from keras_dla.utils.types import Tensor
from keras_dla.utils.validation import check_positive_integer

# Along the rows, then along the columns.
RESAMPLING = {
    "channels_last": ("pi,bijc->bpjc", "qj,bpjc->bpqc"),
    "channels_first": ("pi,bcij->bcpj", "qj,bcpj->bcpq"),
}


@keras.saving.register_keras_serializable(package="keras_dla")
@register_interaction("aa", filters=64)
class AttentionAugmentedConvolution(BlockAttention):
    """A 3x3 convolution, some of whose channels come from self-attention over all positions (AA).

        y = [conv3x3(x); W_O [O_1; ...; O_N]],  filters - d_v and d_v channels
        O_n = softmax((q k^T + S^H + S^W) / sqrt(d_k / N)) v,  q, k, v of head n: 1x1 convolutions
        S^H_ij = q_i . r^H(row of j - row of i),  S^W_ij = q_i . r^W(column of j - column of i)

    r^H and r^W are tables of learned vectors, shared by the heads. With the paper's settings, d_v =
    0.1 `filters`, rounded down to a multiple of N = 8 heads, and d_k = 20 N, if 0.2 `filters` is
    less than that.

    The paper leaves some points open, which are decided here:
    - Maps too narrow for 8 heads (`upsilon * filters` below 8, as in the CIFAR networks) have as
      many heads as value channels.
    - With strides, the 1x1 convolution of q, k and v is strided too.
    - The tables cannot know the size of later images. They cover distances up to `max_size - 1`
      positions; farther positions take the vector of the largest distance in their direction. The
      paper's tables have the size of the training images and cover nothing beyond.

    In a network, the last three stages have it in every block: in ImageNet networks all but the
    first, in CIFAR networks all. In the first of the three, ImageNet networks downsample the maps
    for the attention (`downsampling=2`), as the paper does; CIFAR networks never do. `filters` and
    `strides` are set to the block's, `downsampling` as just said, and `max_size`, if it is `None`,
    to the size of the attention's map for images of 224x224 (14, 14, 7), or 32x32 (32, 16, 8) in a
    network of three stages.

    Args:
        filters: integer, the number of output channels.
        strides: integer, of the convolution; defaults to 1.
        heads: integer, the largest number of heads, N; defaults to 8.
        kappa: float, d_k as a share of `filters`; defaults to 0.2.
        upsilon: float, d_v as a share of `filters`; defaults to 0.1.
        min_key_channels: integer, the least number of key channels of a head; defaults to 20.
        downsampling: integer, r; if it is above 1, the attention reads averages over windows of (2r
            - 1)x(2r - 1) at stride r, and its result is interpolated bilinearly; defaults to 1.
        max_size: integer, the largest height and width (after strides and downsampling) up to which
            every distance has its own entry in the tables; defaults to `None`, the size of the
            first input, which must then be known.
        data_format: string, `"channels_last"` or `"channels_first"`; defaults to Keras's own.

    Call arguments:
        inputs: tensor, `[batch, height, width, channels]` or channels first.
        training: boolean, without effect here; defaults to `None`.

    Returns:
        A tensor, `[batch, ceil(height / strides), ceil(width / strides), filters]` or channels
        first.

    Raises:
        ValueError: when an argument has a value that is not allowed, or `max_size` is missing while
            the size of the images is unknown.

    Reference:
        https://arxiv.org/abs/1904.09925

    Example:
    >>> import numpy as np
    >>> from keras_dla.layers import AttentionAugmentedConvolution
    >>> convolution = AttentionAugmentedConvolution(128, strides=2, data_format="channels_last")
    >>> tuple(convolution(np.ones((1, 8, 8, 64), "float32")).shape)
    (1, 4, 4, 128)
    >>> convolution.heads_used, convolution.key_channels, convolution.value_channels
    (8, 160, 8)
    """

    position = "convolution"

    def __init__(
        self,
        filters: int,
        strides: int = 1,
        heads: int = 8,
        kappa: float = 0.2,
        upsilon: float = 0.1,
        min_key_channels: int = 20,
        downsampling: int = 1,
        max_size: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        check_positive_integer("filters", filters)
        check_positive_integer("strides", strides)
        check_positive_integer("heads", heads)
        _check_share("kappa", kappa)
        _check_share("upsilon", upsilon)
        check_positive_integer("min_key_channels", min_key_channels)
        check_positive_integer("downsampling", downsampling)
        if max_size is not None:
            check_positive_integer("max_size", max_size)
        super().__init__(data_format, **kwargs)
        self.filters = filters
        self.strides = strides
        self.heads = heads
        self.kappa = kappa
        self.upsilon = upsilon
        self.min_key_channels = min_key_channels
        self.downsampling = downsampling
        self.max_size = max_size
        self.heads_used = min(heads, max(1, round(upsilon * filters)))
        self.key_channels = self._whole_heads(kappa, min_key_channels)
        self.value_channels = self._whole_heads(upsilon, 1)
        self._parts = (self.key_channels, self.key_channels, self.value_channels)
        if self.value_channels >= filters:
            raise ValueError(
                f"`upsilon` must leave the convolution at least one of the {filters} `filters`, "
                f"but is {upsilon!r}."
            )

    def _whole_heads(self, share, least):
        """Returns `share` of the filters, rounded down to equal heads of at least `least`."""
        return self.heads_used * max(least, math.floor(share * self.filters / self.heads_used))

    def for_block(
        self, place: BlockPlace, name: str | None = None
    ) -> "AttentionAugmentedConvolution | None":
        """Returns the layer of one of the last three stages; `None` for an earlier one."""
        if place.stage < place.stages - 3:
            return None
        imagenet = place.stages > 3
        downsampling = 2 if imagenet and place.stage == place.stages - 3 else 1
        size = (56 if imagenet else 32) >> place.stage
        return clone_layer(
            self,
            filters=place.planes,
            strides=place.strides,
            downsampling=downsampling,
            max_size=self.max_size or size // downsampling,
            name=name,
        )

    def build(self, input_shape: tuple) -> None:
        axis = channel_axis(self.data_format)
        self.build_channels(input_shape)
        height, width = self._table_sizes(input_shape)
        kwargs = {"data_format": self.data_format, "dtype": self.dtype_policy}
        convolved = self.filters - self.value_channels
        self.convolution = Conv2D(convolved, 3, self.strides, name="convolution", **kwargs)
        self.queries_keys_values = Conv2D(
            sum(self._parts), 1, self.strides, name="queries_keys_values", **kwargs
        )
        self.projection = Conv2D(self.value_channels, 1, name="projection", **kwargs)
        self.convolution.build(input_shape)
        self.queries_keys_values.build(input_shape)
        heads_shape = list(input_shape)
        heads_shape[axis] = self.value_channels
        self.projection.build(tuple(heads_shape))
        self.height_table = self._table("height_table", height)
        self.width_table = self._table("width_table", width)

    def _table_sizes(self, input_shape):
        if self.max_size is not None:
            return self.max_size, self.max_size
        sizes = [input_shape[axis] for axis in spatial_axes(self.data_format)]
        if None in sizes:
            raise ValueError(
                "`max_size` must be an integer if the size of the images is unknown, but is "
                f"None for inputs of shape {tuple(input_shape)}."
            )
        return [math.ceil(size / (self.strides * self.downsampling)) for size in sizes]

    def _table(self, name, size):
        channels = self.key_channels // self.heads_used
        # As in ports of the paper's listing. The mean cancels in the softmax.
        initializer = keras.initializers.RandomNormal(mean=channels**-0.5, stddev=1.0)
        return self.add_vector_weight(name, (2 * size - 1, channels), initializer)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        x = ops.cast(inputs, self.compute_dtype)
        convolved = self.convolution(x)
        attended = self._attention(x)
        if self.downsampling > 1:
            attended = self._interpolate(attended, convolved)
        return ops.concatenate([convolved, attended], axis=channel_axis(self.data_format))

    def _attention(self, x):
        if self.downsampling > 1:
            x = self._average(x)
        x = self.queries_keys_values(x)
        first = self.data_format == "channels_first"
        x = ops.transpose(x, (0, 2, 3, 1)) if first else x
        x = self._attend(*self._split(x))
        x = ops.transpose(x, (0, 3, 1, 2)) if first else x
        return self.projection(x)

    def _split(self, x):
        """Returns q, k and v, each `[batch, height, width, heads, channels]`."""
        batch, height, width, _ = ops.shape(x)
        parts = split(x, self._parts, axis=-1)
        return [
            ops.reshape(part, (batch, height, width, self.heads_used, size // self.heads_used))
            for part, size in zip(parts, self._parts, strict=True)
        ]

    def _attend(self, q, k, v):
        """Returns all heads' outputs side by side, `[batch, height, width, channels]`."""
        batch, height, width = ops.shape(q)[:3]
        q = q * q.shape[-1] ** -0.5
        scores = einsum("bhwnd,bijnd->bnhwij", q, k)
        scores = scores + ops.expand_dims(self._row_scores(q, height), -1)
        scores = scores + ops.expand_dims(self._column_scores(q, width), -2)
        shape = (batch, self.heads_used, height, width)
        scores = ops.reshape(scores, (*shape, height * width))
        weights = softmax(ops.cast(scores, self.variable_dtype), axis=-1)
        weights = ops.cast(weights, self.compute_dtype)
        weights = ops.reshape(weights, (*shape, height, width))
        outputs = einsum("bnhwij,bijnd->bhwnd", weights, v)
        return ops.reshape(outputs, (batch, height, width, self.value_channels))

    def _row_scores(self, q, height):
        vectors = self._relative_vectors(self.height_table, height)
        return einsum("bhwnd,hid->bnhwi", q, vectors)

    def _column_scores(self, q, width):
        vectors = self._relative_vectors(self.width_table, width)
        return einsum("bhwnd,wjd->bnhwj", q, vectors)

    def _relative_vectors(self, table, size):
        """Returns the table's vector for every pair of positions, `[size, size, channels]`."""
        reach = (table.shape[0] - 1) // 2
        positions = ops.arange(size, dtype="int32")
        offsets = ops.expand_dims(positions, 0) - ops.expand_dims(positions, 1)
        rows = ops.clip(offsets, -reach, reach) + reach
        # A matrix product, because the gradient of a look-up is sparse on TensorFlow.
        chosen = ops.one_hot(rows, table.shape[0], dtype=self.variable_dtype)
        return ops.cast(matmul(chosen, table), self.compute_dtype)

    def _average(self, x):
        wide = self.variable_dtype
        matrices = [_averaging(size, self.downsampling, wide) for size in self._sizes(x)]
        return self._resample(x, matrices)

    def _interpolate(self, x, like):
        sizes = zip(self._sizes(x), self._sizes(like), strict=True)
        matrices = [_interpolation(*s, self.downsampling, self.variable_dtype) for s in sizes]
        return self._resample(x, matrices)

    def _sizes(self, x):
        shape = ops.shape(x)
        return [shape[axis] for axis in spatial_axes(self.data_format)]

    def _resample(self, x, matrices):
        for equation, matrix in zip(RESAMPLING[self.data_format], matrices, strict=True):
            x = einsum(equation, ops.cast(matrix, self.compute_dtype), x)
        return x

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        shape = list(input_shape)
        for axis in spatial_axes(self.data_format):
            shape[axis] = None if shape[axis] is None else math.ceil(shape[axis] / self.strides)
        shape[channel_axis(self.data_format)] = self.filters
        return tuple(shape)

    def flops(self, inputs: Tensor) -> dict[str, int]:
        sizes = [inputs.shape[axis] for axis in spatial_axes(self.data_format)]
        convolved = [math.ceil(size / self.strides) for size in sizes]
        shrunk = [math.ceil(size / self.downsampling) for size in sizes]
        attended = [math.ceil(size / self.strides) for size in shrunk]
        places = math.prod(attended)
        projections = self.queries_keys_values.kernel, self.projection.kernel
        return {
            "convolution": kernel_flops(self.convolution.kernel, times=math.prod(convolved)),
            "projections": kernel_flops(*projections, times=places),
            # With the keys of all positions, and the vectors of all rows and columns.
            "scores": places * (places + sum(attended)) * self.key_channels,
            "weighted sum": places**2 * self.value_channels,
        }

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "strides": self.strides,
            "heads": self.heads,
            "kappa": self.kappa,
            "upsilon": self.upsilon,
            "min_key_channels": self.min_key_channels,
            "downsampling": self.downsampling,
            "max_size": self.max_size,
        }


def _averaging(size, stride, dtype):
    """Returns the matrix that averages windows around every `stride`-th of `size` positions."""
    centres = ops.expand_dims(ops.arange(0, size, stride, dtype="int32"), 1)
    window = ops.cast(ops.abs(ops.arange(size, dtype="int32") - centres) < stride, dtype)
    return window / ops.sum(window, axis=1, keepdims=True)


def _interpolation(size, new_size, factor, dtype):
    """Returns the matrix that interpolates between `size` positions, `factor` apart."""
    places = ops.cast(ops.arange(size, dtype="int32"), dtype)
    positions = ops.cast(ops.arange(new_size, dtype="int32"), dtype) / factor
    # The last place as a tensor: `torch.export` would make a constant of a size that becomes one.
    positions = ops.minimum(positions, places[-1])
    distances = ops.expand_dims(positions, 1) - places
    return ops.relu(1.0 - ops.abs(distances))


def _check_share(name, value):
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 1:
        raise ValueError(f"`{name}` must be more than 0 and at most 1, but is {value!r}.")
