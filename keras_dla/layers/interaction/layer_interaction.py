"""The protocol by which the blocks of a stage interact."""

from collections.abc import Iterator
from typing import Any

import keras

from keras_dla.keras_internals.rematerialization import RematerializesTensors
from keras_dla.layers.base_config import base_config, clone_layer
from keras_dla.ops.channels import channel_axis
from keras_dla.ops.cheap import cast
from keras_dla.ops.relu import relu_of_sum
from keras_dla.utils.types import Nest, Tensor
from keras_dla.utils.validation import (
    check_channels,
    check_positive_integer,
    is_integer,
    sizes_fit,
    standardize_data_format,
)


class LayerInteraction(RematerializesTensors, keras.layers.Layer):
    """Base class: one layer per stage, called once for each block of the stage, in order.

    It owns the weights that the stage shares and those of each block, and passes a state from block
    to block:

        interaction = MyInteraction(depth=3)
        state = None
        for index, block in enumerate(blocks):
            features, shortcut = block(x, interaction.block_input(x, state, index))
            x, state = interaction(features, state, shortcut=shortcut, index=index)

    `features` is the residual branch before the addition and `shortcut` what is to be added to it,
    so that the subclass decides how the two are combined. Without a shortcut, `features` is the
    block's output. With `block_input`, the residual branch may read more than the shortcut carries.
    With `enter`, a state is passed on to the next stage, and with `head_input`, the network's head
    reads it.

    A subclass defines `build(features_shape, state_shape=None, shortcut_shape=None)`, where it
    makes the weights of every index, `call(features, state=None, shortcut=None, index=0,
    training=None)`, which passes `training` on to inner layers that take it, and
    `state_spec(features, state, shortcut, index)`. A layer that is called several times must return
    the same number of tensors each time, so a state that grows starts with `depth` entries.

    Args:
        depth: integer, the number of blocks of the stage.
        data_format: `"channels_last"` or `"channels_first"`; defaults to Keras's own.
        dtype: dtype or dtype policy. Statistics, gates and scores are computed in the variable
            dtype (float32 in mixed precision), feature maps in the compute dtype.

    Raises:
        ValueError: when `depth` is not positive or `data_format` unknown.
    """

    # Whether every feature map in the state must have the shape of `features`.
    keeps_maps = False
    # Whether a `LeanModel` may use `call` directly on PyTorch.
    runs_by_call = True

    def __init__(self, depth: int, data_format: str | None = None, **kwargs: Any) -> None:
        check_positive_integer("depth", depth)
        # A state in float32 must not be cast down when it is passed to a mixed-precision layer
        # again.
        super().__init__(autocast=False, **kwargs)
        self.depth = int(depth)
        self.data_format = standardize_data_format(data_format)

    def for_stage(self, depth: int, name: str | None = None) -> "LayerInteraction":
        """Returns a new layer with this one's settings for a stage of `depth` blocks."""
        return clone_layer(self, depth=depth, name=name)

    def block_input(self, x: Tensor, state: Nest, index: int) -> Tensor:
        """Returns what the residual branch of block `index` reads instead of `x`. Here: `x`."""
        return x

    def enter(self, state: Nest) -> Nest:
        """Returns the state of block 0 from the last one of the previous stage. Here: `None`."""
        return None

    def head_input(self, x: Tensor, state: Nest) -> Tensor:
        """Returns what the network's head reads instead of `x`, the last stage's output. Here: `x`.

        It is called once, when a network is built, on the layer that was given to the builder; it
        may create layers.
        """
        return x

    def state_spec(
        self, features: Tensor, state: Nest, shortcut: Tensor | None, index: int
    ) -> Nest:
        """Returns the state of the call at `index` as a structure of `keras.KerasTensor`."""
        raise NotImplementedError

    def compute_output_spec(
        self,
        features: Tensor,
        state: Nest = None,
        shortcut: Tensor = None,
        index: int = 0,
        training: bool | None = None,
    ) -> Nest:
        self.check_call(features, state, shortcut, index)
        output = keras.KerasTensor(features.shape, self.compute_dtype)
        return output, self.state_spec(features, state, shortcut, index)

    def compute_output_shape(
        self,
        features_shape: tuple,
        state_shape: Any = None,
        shortcut_shape: Any = None,
        index: int = 0,
    ) -> Any:
        """Returns the shapes of the output and of the state, for which it builds the layer."""
        if not self.built:
            self.build(features_shape)
        features = keras.KerasTensor(features_shape, self.compute_dtype)
        spec = self.state_spec(features, state_shape, shortcut_shape, index)
        return tuple(features_shape), keras.tree.map_structure(lambda tensor: tensor.shape, spec)

    def check_call(
        self, features: Tensor, state: Nest, shortcut: Tensor | None, index: int
    ) -> None:
        """Raises `ValueError` for arguments of `call` that do not fit each other."""
        if not is_integer(index) or not 0 <= index < self.depth:
            raise ValueError(
                f"`index` must be an integer from 0 to {self.depth - 1} in a stage of depth "
                f"{self.depth}, but is {index!r}."
            )
        if index > 0 and state is None:
            raise ValueError(
                f"`state` must be the state that the call at index {index - 1} returned, but is "
                f"None at index {index}."
            )
        if index > 0 and self.built:
            self.check_state(state)
        shape = features.shape
        self._check_map("features", shape, shape)
        if shortcut is not None and shortcut.shape != shape:
            self._check_map("shortcut", shortcut.shape, shape)
        if index > 0 and self.keeps_maps:
            self._check_maps_in(state, shape)

    def check_state(self, state: Nest) -> None:
        """Raises `ValueError` for the state of another kind, mode or unit of layer. Here: never.

        Args:
            state: structure of tensors, the state that was given for the previous index.
        """

    def _check_map(self, name, shape, features_shape):
        channels = check_channels(name, shape, channel_axis(self.data_format))
        if self.built and channels != self.channels:
            raise ValueError(
                f"`{name}` must have the {self.channels} channels of the stage's first layer, "
                f"but has shape {tuple(shape)}."
            )
        if not sizes_fit(shape[1:], features_shape[1:]):
            raise ValueError(
                f"`{name}` must have the shape of `features` {tuple(features_shape)}, "
                f"but has shape {tuple(shape)}."
            )

    def _check_maps_in(self, state, features_shape):
        for tensor in tensors_of(state):
            shape = tensor.shape
            if len(shape) != 4 or shape == features_shape:
                continue
            if not sizes_fit(shape[1:], features_shape[1:]):
                raise ValueError(
                    "`features` must have the shape of the previous layers' maps, "
                    f"{tuple(shape)}, but has shape {tuple(features_shape)}."
                )

    def build_channels(self, features_shape: tuple) -> int:
        """Stores and returns the stage's number of channels."""
        self.channels = check_channels("features", features_shape, channel_axis(self.data_format))
        return self.channels

    def merge(self, features: Tensor, shortcut: Tensor | None) -> Tensor:
        """Returns the block's output: ReLU(features + shortcut), or `features` alone."""
        dtype = self.compute_dtype
        features = cast(features, dtype)
        if shortcut is None:
            return features
        return relu_of_sum(features, cast(shortcut, dtype))

    def get_config(self) -> dict:
        return {**base_config(self), "depth": self.depth, "data_format": self.data_format}


def check_entries(state: Nest, names: tuple[str, ...]) -> None:
    """Raises `ValueError` unless `state` is a dictionary of these entries.

    The state of a layer of another kind, mode or unit has other entries and would be misread.
    """
    if isinstance(state, dict) and state.keys() == set(names):
        return
    found = sorted(state) if isinstance(state, dict) else [type(state).__name__]
    raise ValueError(
        "`state` must be the state that this layer returned at the previous index, with "
        f"{', '.join(sorted(names))}, but has {', '.join(found)}."
    )


def tensors_of(nest: Nest) -> Iterator[Tensor]:
    """Yields the tensors of a nested structure.

    On PyTorch, Keras's own `flatten` leaves reference cycles, which keep the maps until Python's
    garbage collector runs.
    """
    if isinstance(nest, dict):
        nest = list(nest.values())
    if isinstance(nest, (list, tuple)):
        for value in nest:
            yield from tensors_of(value)
    else:
        yield nest
