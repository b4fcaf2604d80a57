"""Queries, keys and values of the layers of a stage (Eq. 1), and the addition of the attention."""

from typing import Any

import keras

from keras_dla.keras_internals.private_names import values_of
from keras_dla.layers.core.batch_normalization import BatchNormalization
from keras_dla.layers.core.drop_path import DropPath
from keras_dla.layers.flops import entries, kernel_flops, positions
from keras_dla.layers.initializers import he_normal_depthwise, torch_uniform
from keras_dla.layers.interaction.layer_interaction import LayerInteraction, check_entries
from keras_dla.ops.channel_convolution import adaptive_kernel_size, convolve_channels
from keras_dla.ops.channels import average_and_map, channel_axis, repeat_each
from keras_dla.ops.cheap import cast, reshape, split_at, stack, total
from keras_dla.ops.convolution import keep_as_read
from keras_dla.ops.depthwise import depthwise_conv3x3
from keras_dla.ops.relu import add_to_new, rectify
from keras_dla.utils.types import Nest, Tensor
from keras_dla.utils.validation import (
    FORMULATIONS,
    check_choice,
    check_positive_integer,
    check_rate,
)


class ChannelConv1D(keras.layers.Layer):
    """f_q and f_k of Eq. 1: a convolution with one kernel along the channels of pooled features."""

    def build(self, input_shape: tuple) -> None:
        size = adaptive_kernel_size(input_shape[-1])
        # DLA-B reads it directly in mixed precision too, where it must stay in float32.
        self.kernel = self.add_weight(
            name="kernel", shape=(size,), initializer=torch_uniform(size), autocast=False
        )

    def call(self, inputs: Tensor) -> Nest:
        return convolve_channels(inputs, self.kernel)

    def compute_output_shape(self, input_shape: tuple) -> Any:
        return input_shape


class DepthwiseConv3x3(keras.layers.Layer):
    """f_v of Eq. 1: convolves every channel with its own 3x3 kernel, without bias."""

    def __init__(self, data_format: str, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = data_format

    def build(self, input_shape: tuple) -> None:
        channels = input_shape[channel_axis(self.data_format)]
        self.kernel = self.add_weight(
            name="kernel", shape=(3, 3, channels), initializer=he_normal_depthwise(channels)
        )
        keep_as_read(self.kernel, self.data_format)

    def call(self, inputs: Tensor) -> Nest:
        # Needed if an interaction calls this directly, without Keras's casts of mixed precision.
        kernel = cast(self.kernel, self.compute_dtype)
        return depthwise_conv3x3(inputs, kernel, self.data_format)

    def compute_output_shape(self, input_shape: tuple) -> Any:
        return input_shape


class LayerAttention(LayerInteraction):
    """Base of multi-head recurrent layer attention (MRLA; Fang et al., 2023), Section 3.1.

        Q^l = f_q(x^l),  K^l = f_k^l(x^l),  V^l = f_v^l(x^l)                (Eq. 1)
        x^l <- x^l + drop path(BN(o^l))

    f_q and f_k pool x and convolve it along the channels, f_v is a depthwise 3x3 convolution. A
    subclass defines in `attend` how a layer reads the layers before it (o^l), and in `recall` what
    it remembers of them.

    Args:
        depth: integer, the number of layers of the stage.
        head_size: integer, channels per head; divides the number of channels; defaults to 32.
        drop_path: float, the probability of dropping a sample's attention output in training;
            defaults to 0.
        formulation: `"official"`, `"paper"` or `"verbatim"`; defaults to `"official"`.
        data_format: `"channels_last"` or `"channels_first"`; defaults to Keras's own.

    Raises:
        ValueError: when an argument has a value that is not allowed, or shapes do not fit.

    Reference:
        https://arxiv.org/abs/2302.03985
    """

    keeps_maps = True
    # The names of the state's entries.
    memory_names: tuple[str, ...] = ()
    # The base version applies a ReLU to its output, the light version does not.
    rectify = False

    def __init__(
        self,
        depth: int,
        head_size: int = 32,
        drop_path: float = 0.0,
        formulation: str = "official",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        check_positive_integer("head_size", head_size)
        check_rate("drop_path", drop_path)
        check_choice("formulation", formulation, FORMULATIONS)
        super().__init__(depth, data_format, **kwargs)
        self.head_size = int(head_size)
        self.formulation = formulation
        self.drop_path = DropPath(drop_path, dtype=self.dtype_policy, name="drop_path")
        of_vectors = {"dtype": self.variable_dtype}
        of_maps = {"data_format": self.data_format, "dtype": self.dtype_policy}
        indices = range(self.depth)
        self.queries = [ChannelConv1D(name=f"query_{index}", **of_vectors) for index in indices]
        self.keys = [ChannelConv1D(name=f"key_{index}", **of_vectors) for index in indices]
        self.values = [DepthwiseConv3x3(name=f"value_{index}", **of_maps) for index in indices]
        self.norms = [BatchNormalization(name=f"norm_{index}", **of_maps) for index in indices]

    def build(
        self, features_shape: tuple, state_shape: Any = None, shortcut_shape: Any = None
    ) -> None:
        channels = self.build_channels(features_shape)
        if channels % self.head_size:
            raise ValueError(
                f"`features` must have a number of channels divisible by `head_size` "
                f"({self.head_size}), but has {channels}."
            )
        self.heads = channels // self.head_size
        self.drop_path.build(features_shape)
        for index in range(self.depth):
            self.queries[index].build((None, channels))
            self.keys[index].build((None, channels))
            self.values[index].build(features_shape)
            self.norms[index].build(features_shape)

    def call(
        self,
        features: Tensor,
        state: Nest = None,
        shortcut: Tensor | None = None,
        index: int = 0,
        training: bool | None = None,
    ) -> tuple[Tensor, Nest]:
        self.check_call(features, state, shortcut, index)
        y, x = average_and_map(self.merge(features, shortcut), self.data_format)
        output, memory = self.attend(x, y, self.recall(state, shortcut, x), index)
        return self.add(x, output, index, training), memory

    def check_state(self, state: Nest) -> None:
        check_entries(state, self.memory_names)

    def recall(self, memory: Nest, shortcut: Tensor | None, x: Tensor) -> dict:
        """Returns the memory of the previous layers, as `attend` reads it."""
        return memory or {}

    def attend(self, x: Tensor, y: Tensor, memory: dict, index: int) -> tuple[Tensor, dict]:
        """Returns the attention output o of layer `index`, and the memory including this layer.

        Args:
            x: tensor `[batch, height, width, channels]` or channels first, the layer's features.
            y: tensor `[batch, channels]`, the same, pooled.
            memory: dictionary, what `recall` returned.
            index: integer, the layer's place in the stage.
        """
        raise NotImplementedError

    def add(self, x: Tensor, output: Tensor, index: int, training: bool | None) -> Tensor:
        """Returns x + drop path(BN(o)), with a ReLU after BN in the base version."""
        output = self.norms[index].call(output, training)
        if self.rectify:
            output = rectify(output)
        if self.drop_path.rate:
            output = self.drop_path(output, training=training)
        return add_to_new(x, output)

    def project(self, y: Tensor, index: int) -> tuple[Tensor, Tensor]:
        """Returns the layer's query and key, each `[batch, 1, channels]`."""
        kernels = stack(values_of([self.queries[index].kernel, self.keys[index].kernel]))
        query, key = split_at(convolve_channels(y[:, None], kernels), 1, axis=1)
        return query, key

    def logits(self, query: Tensor, keys: Tensor) -> Tensor:
        """Returns Q K^T / sqrt(D_k) by head: `[batch, layers, heads]`.

        Args:
            query: tensor `[batch, 1, channels]`.
            keys: tensor `[batch, layers, channels]`.
        """
        products = self.by_head(query) * self.by_head(keys)
        return total(products, axis=-1) / self.head_size**0.5

    def by_head(self, vectors: Tensor) -> Tensor:
        """Shapes `[batch, layers, channels]` to `[batch, layers, heads, head_size]`."""
        return reshape(vectors, (-1, vectors.shape[1], self.heads, self.head_size))

    def by_channel(self, scores: Tensor) -> Tensor:
        """Repeats `[..., heads]` for every channel of its head: `[..., channels]`."""
        return repeat_each(scores, self.head_size)

    def attention_flops(self, features: Tensor, index: int, keys: int, maps: int) -> dict[str, int]:
        """Returns the cost of layer `index` by its numbers of keys and maps.

        Args:
            features: `keras.KerasTensor`, the layer's features.
            index: integer, the layer's place in the stage.
            keys: integer, how many keys the layer's query meets.
            maps: integer, how many maps its output is a weighted sum of.
        """
        kernels = self.queries[index].kernel, self.keys[index].kernel
        places = positions(features, self.data_format)
        return {
            "projections": kernel_flops(*kernels, times=self.channels),
            "scores": keys * self.channels,
            "values": kernel_flops(self.values[index].kernel, times=places),
            "weighted sum": maps * entries(features),
        }

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "head_size": self.head_size,
            "drop_path": self.drop_path.rate,
            "formulation": self.formulation,
        }
