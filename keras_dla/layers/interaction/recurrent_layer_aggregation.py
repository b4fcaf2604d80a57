"""Recurrent layer aggregation, RLA_g (Zhao et al., 2021)."""

from typing import Any

import keras
from keras import ops

from keras_dla.layers.core.batch_normalization import BatchNormalization
from keras_dla.layers.core.convolution import Conv2D
from keras_dla.layers.flops import kernel_flops, positions
from keras_dla.layers.interaction.layer_interaction import LayerInteraction
from keras_dla.layers.registry import register_interaction
from keras_dla.ops.channels import channel_axis, spatial_axes
from keras_dla.ops.pooling import average_halved
from keras_dla.ops.tanh import tanh
from keras_dla.utils.types import Nest, Tensor
from keras_dla.utils.validation import (
    FORMULATIONS,
    check_choice,
    check_positive_integer,
    sizes_fit,
)


@keras.saving.register_keras_serializable(package="keras_dla")
@register_interaction("rla_g")
class RecurrentLayerAggregation(LayerInteraction):
    """Collects the blocks' outputs in a narrow hidden map, which every block reads (RLA_g).

        y^t = F^t([x^(t-1), h^(t-1)])
        h^t = W * tanh(BN^t(h^(t-1) + U * y^t))
        x^t = ReLU(y^t + shortcut^t)

    F^t is the residual branch up to its last BN, U a 1x1 and W a 3x3 convolution that all blocks of
    a stage share, and BN^t belongs to one block. h starts with zeros and is passed on from stage to
    stage: if the first block of a stage has stride 2, it reads `[x, h]` before the stride, and h is
    then averaged over 2x2 windows. The network's head reads `[x, ReLU(BN(h))]` of the last block.

    The order of BN, tanh and W, and the head, are as in the authors' code. It has a slip: its
    addition and ReLU overwrite y^t in place, so that U reads x^t. `formulation="verbatim"` does the
    same; the published accuracies come from it. There is one departure: their pooling drops the
    last row or column of a map of odd size, so that the sizes no longer fit; here that row or
    column is averaged alone, in line with the strided convolution.

    Args:
        depth: integer, the number of blocks of the stage.
        hidden_channels: integer, the channels of h; defaults to `32`.
        formulation: `"official"` and `"paper"`, which are the same here, or `"verbatim"`; defaults
            to `"official"`.
        data_format: `"channels_last"` or `"channels_first"`; Keras's own by default.

    Call arguments:
        features: `[batch, height, width, channels]` (or channels first), a residual branch, or a
            block's output if there is no shortcut.
        state: h, as the previous call returned it; at index 0 as the previous stage returned it, or
            `None` in the first stage. At index 0 it has the size of `features` or twice that size;
            twice is assumed if the sizes are unknown even when the layer runs.
        shortcut: optional tensor of the shape of `features`.
        index: integer, the block's place in the stage.
        training: boolean or `None`, whether the layer trains; defaults to `None`, as Keras decides.

    Returns:
        The block's output, of the shape of `features`, and h: `[batch, height, width,
        hidden_channels]` or channels first.

    Raises:
        ValueError: if an argument has a value that is not allowed, or shapes do not fit.

    Example:
    >>> import numpy as np
    >>> from keras_dla.layers import RecurrentLayerAggregation
    >>> rla = RecurrentLayerAggregation(depth=2, data_format="channels_last")
    >>> x, h = np.ones((1, 4, 4, 64), "float32"), None
    >>> for index in range(2):
    ...     read = rla.block_input(x, h, index)
    ...     x, h = rla(x, h, index=index)
    >>> tuple(read.shape), tuple(x.shape), tuple(h.shape)
    ((1, 4, 4, 96), (1, 4, 4, 64), (1, 4, 4, 32))
    """

    def __init__(
        self,
        depth: int,
        hidden_channels: int = 32,
        formulation: str = "official",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        check_positive_integer("hidden_channels", hidden_channels)
        check_choice("formulation", formulation, FORMULATIONS)
        super().__init__(depth, data_format, **kwargs)
        self.hidden_channels = int(hidden_channels)
        self.formulation = formulation
        options = {"data_format": self.data_format, "dtype": self.dtype_policy}
        self.gather = Conv2D(self.hidden_channels, 1, name="gather", **options)
        self.recur = Conv2D(self.hidden_channels, 3, name="recur", **options)
        self.norms = [
            BatchNormalization(name=f"norm_{index}", **options) for index in range(self.depth)
        ]

    def build(
        self, features_shape: tuple, state_shape: Any = None, shortcut_shape: Any = None
    ) -> None:
        self.build_channels(features_shape)
        hidden_shape = self._hidden_shape(features_shape)
        self.gather.build(features_shape)
        self.recur.build(hidden_shape)
        for norm in self.norms:
            norm.build(hidden_shape)

    def block_input(self, x: Tensor, state: Nest, index: int) -> Tensor:
        """Returns `[x, h]`, where h is zero before the network's first block."""
        axis = channel_axis(self.data_format)
        if state is not None:
            self.check_state(state)
            return ops.concatenate([x, state], axis=axis)
        zeros = [(0, 0)] * 4
        zeros[axis] = (0, self.hidden_channels)
        return ops.pad(x, zeros)

    def enter(self, state: Nest) -> Nest:
        """Returns the hidden map of the previous stage."""
        return state

    def call(
        self,
        features: Tensor,
        state: Nest = None,
        shortcut: Tensor | None = None,
        index: int = 0,
        training: bool | None = None,
    ) -> tuple[Tensor, Nest]:
        self.check_call(features, state, shortcut, index)
        x = self.merge(features, shortcut)
        h = self.gather(x if self.formulation == "verbatim" else features)
        if state is not None:
            h = h + self._pooled(ops.cast(state, self.compute_dtype), features, index)
        h = self.recur(_tanh(self.norms[index](h, training=training)))
        return x, h

    def _pooled(self, h, features, index):
        """Returns h in the size of `features`."""
        halves = [_half(size) for size in self._sizes(h)]
        if index > 0 or not sizes_fit(halves, self._sizes(features)):
            return h
        return average_halved(h, self.data_format)

    def head_input(self, x: Tensor, state: Nest) -> Tensor:
        """Returns `[x, ReLU(BN(h))]`."""
        norm = BatchNormalization(self.data_format, dtype=self.dtype_policy, name="head_bn")
        h = keras.layers.ReLU(dtype=self.dtype_policy, name="head_relu")(norm(state))
        return ops.concatenate([x, h], axis=channel_axis(self.data_format))

    def state_spec(
        self, features: Tensor, state: Nest, shortcut: Tensor | None, index: int
    ) -> keras.KerasTensor:
        return keras.KerasTensor(self._hidden_shape(features.shape), self.compute_dtype)

    def flops(
        self, features: Tensor, state: Nest = None, shortcut: Tensor = None, index: int = 0
    ) -> dict[str, int]:
        places = positions(features, self.data_format)
        return {
            "gather": kernel_flops(self.gather.kernel, times=places),
            "recur": kernel_flops(self.recur.kernel, times=places),
        }

    def check_state(self, state: Nest) -> None:
        shape = tuple(getattr(state, "shape", ()))
        if len(shape) != 4 or shape[channel_axis(self.data_format)] != self.hidden_channels:
            found = f"has shape {shape}" if shape else f"is a {type(state).__name__}"
            raise ValueError(
                f"`state` must be a map of {self.hidden_channels} channels, as returned by this "
                f"layer or by the previous stage's, but {found}."
            )

    def check_call(
        self, features: Tensor, state: Nest, shortcut: Tensor | None, index: int
    ) -> None:
        super().check_call(features, state, shortcut, index)
        if state is not None:
            self._check_hidden(state, features, index)

    def _check_hidden(self, state, features, index):
        self.check_state(state)
        sizes, expected = self._sizes(state), self._sizes(features)
        halves = [_half(size) for size in sizes]
        fits = sizes_fit(sizes, expected) or (index == 0 and sizes_fit(halves, expected))
        if not fits:
            twice = "" if index else " or twice that size"
            raise ValueError(
                f"`state` must be a map of {self.hidden_channels} channels in the size of "
                f"`features` {tuple(features.shape)}{twice}, but has shape {tuple(state.shape)}."
            )

    def _sizes(self, feature_map):
        return [feature_map.shape[axis] for axis in spatial_axes(self.data_format)]

    def _hidden_shape(self, shape):
        """Returns the shape of the hidden map for a feature map of `shape`."""
        shape = list(shape)
        shape[channel_axis(self.data_format)] = self.hidden_channels
        return tuple(shape)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "hidden_channels": self.hidden_channels,
            "formulation": self.formulation,
        }


def _tanh(x):
    if keras.backend.backend() != "tensorflow":
        return tanh(x)
    # TensorFlow's graphs would fuse convolution, BN and tanh into a kernel that does not exist for
    # CPUs. The two minus signs prevent that; tanh is odd.
    return -tanh(-x)


def _half(size):
    # As convolutions write it: JAX does not know that -(-size // 2) is the same.
    return None if size is None else (size - 1) // 2 + 1
