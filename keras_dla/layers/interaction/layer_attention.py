"""What static and dynamic layer attention share: projections, normalisation, the residual sum."""

from keras import ops

from keras_dla.layers.core.batch_normalization import BatchNormalization
from keras_dla.layers.core.channel_convolution import ChannelConv1D
from keras_dla.layers.core.depthwise_convolution import DepthwiseConv3x3
from keras_dla.layers.core.drop_path import DropPath
from keras_dla.layers.flops import entries, kernel_flops, positions
from keras_dla.layers.interaction.layer_interaction import LayerInteraction
from keras_dla.ops.channel_convolution import convolve_channels
from keras_dla.ops.channels import global_average_pool
from keras_dla.ops.cheap import reshape
from keras_dla.ops.relu import rectify
from keras_dla.utils.validation import (
    FORMULATIONS,
    check_choice,
    check_positive_integer,
    check_rate,
)


class LayerAttention(LayerInteraction):
    """Base of multi-head recurrent layer attention (MRLA; Fang et al., 2023), Section 3.1.

    A subclass says in `attend` how a layer reads the layers before it, and in `recall` what it
    remembers of them.
    """

    keeps_maps = True
    # The base version rectifies its output, the light version does not.
    rectify = False

    def __init__(
        self,
        depth: int,
        head_size: int = 32,
        drop_path: float = 0.0,
        formulation: str = "official",
        data_format: str | None = None,
        **kwargs,
    ):
        check_positive_integer("head_size", head_size)
        check_rate("drop_path", drop_path)
        check_choice("formulation", formulation, FORMULATIONS)
        super().__init__(depth, data_format, **kwargs)
        self.head_size = head_size
        self.formulation = formulation
        self.drop_path = DropPath(drop_path, dtype=self.dtype_policy, name="drop_path")
        statistics = self.variable_dtype
        self.queries = [ChannelConv1D(dtype=statistics) for _ in range(depth)]
        self.keys = [ChannelConv1D(dtype=statistics) for _ in range(depth)]
        self.values = [
            DepthwiseConv3x3(self.data_format, dtype=self.dtype_policy) for _ in range(depth)
        ]
        self.norms = [
            BatchNormalization(self.data_format, dtype=self.dtype_policy) for _ in range(depth)
        ]

    def build(self, features_shape, state_shape=None, shortcut_shape=None):
        channels = self.build_channels(features_shape)
        if channels % self.head_size:
            raise ValueError(
                f"`features` must have a number of channels divisible by `head_size` "
                f"({self.head_size}), but has {channels}."
            )
        self.heads = channels // self.head_size
        for index in range(self.depth):
            self.queries[index].build((None, channels))
            self.keys[index].build((None, channels))
            self.values[index].build(features_shape)
            self.norms[index].build(features_shape)

    def call(self, features, state=None, shortcut=None, index=0):
        self.check_call(features, state, shortcut, index)
        x = self.merge(features, shortcut)
        y = global_average_pool(x, self.data_format)
        output, memory = self.attend(x, y, self.recall(state, shortcut, x), index)
        return self.add(x, output, index), memory

    def recall(self, memory, shortcut, x):
        """Returns what the layers before have left, as `attend` reads it."""
        return memory or {}

    def attend(self, x, y, memory, index: int):
        """Returns the attention output o of layer `index`, and the memory with this layer in it.

        Args:
            x: the layer's features, `[batch, height, width, channels]` or channels first.
            y: the same, pooled: `[batch, channels]`.
            memory: what `recall` returned, refreshed where the attention is dynamic.
            index: the layer's place in the stage.
        """
        raise NotImplementedError

    def add(self, x, output, index: int):
        """Returns x + drop path(BN(o)), with a ReLU behind BN in the base version."""
        output = self.norms[index](output)
        if self.rectify:
            output = rectify(output)
        if self.drop_path.rate:
            output = self.drop_path(output)
        return x + output

    def project(self, y, index: int):
        """Returns the layer's query `[batch, channels]` and key `[batch, 1, channels]`."""
        kernels = ops.stack([self.queries[index].kernel.value, self.keys[index].kernel.value])
        both = convolve_channels(ops.expand_dims(y, 1), kernels)
        return both[:, 0], both[:, 1:]

    def logits(self, query, keys):
        """Returns Q K^T / sqrt(D_k) by head: `[batch, layers, heads]`.

        Args:
            query: `[batch, channels]`.
            keys: `[batch, layers, channels]`.
        """
        products = ops.expand_dims(query, 1) * keys
        products = reshape(products, (-1, keys.shape[1], self.heads, self.head_size))
        return ops.sum(products, axis=-1) / self.head_size**0.5

    def by_channel(self, scores):
        """Repeats `[..., heads]` for every channel of its head: `[..., channels]`."""
        return ops.repeat(scores, self.head_size, axis=-1)

    def attention_flops(self, features, index: int, keys: int, maps: int) -> dict[str, int]:
        """Returns the cost of layer `index`, which reads so many keys and maps.

        Args:
            features: the layer's features.
            index: the layer's place in the stage.
            keys: how many keys the layer's query meets.
            maps: how many maps its output is a weighted sum of.
        """
        kernels = self.queries[index].kernel, self.keys[index].kernel
        places = positions(features, self.data_format)
        return {
            "projections": kernel_flops(*kernels, times=self.channels),
            "scores": keys * self.channels,
            "values": kernel_flops(self.values[index].kernel, times=places),
            "weighted sum": maps * entries(features),
        }

    def get_config(self):
        return {
            **super().get_config(),
            "head_size": self.head_size,
            "drop_path": self.drop_path.rate,
            "formulation": self.formulation,
        }
