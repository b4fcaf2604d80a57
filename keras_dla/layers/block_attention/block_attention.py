"""The protocol of attention inside one residual block."""

from typing import Any, NamedTuple

import keras
from keras import ops

from keras_dla.keras_internals.rematerialization import RematerializesTensors
from keras_dla.layers.base_config import base_config, clone_layer
from keras_dla.layers.initializers import torch_uniform
from keras_dla.ops.channels import channel_axis, per_channel
from keras_dla.utils.types import Tensor
from keras_dla.utils.validation import check_channels, standardize_data_format

# The layer's position in its block, and what it is called with:
# - "convolution": in place of the 3x3 convolution, with that one's input;
# - "branch": after the last BN, with the residual branch;
# - "bridge": there too, with a list of the maps after the first two activations, and the branch;
# - "output": after the block's last activation, with the block's output.
POSITIONS = ("convolution", "branch", "bridge", "output")


class BlockPlace(NamedTuple):
    """A residual block's place in its network.

    Args:
        stage: integer, the stage, from 0.
        stages: integer, the number of stages.
        index: integer, the block in its stage, from 0.
        depth: integer, the number of blocks of the stage.
        planes: integer, channels of the 3x3 convolution; the block's output has four times as many.
        strides: integer, stride of the 3x3 convolution.
    """

    stage: int
    stages: int
    index: int  # type: ignore[assignment]  # a tuple has a method of this name
    depth: int
    planes: int
    strides: int


class BlockAttention(RematerializesTensors, keras.layers.Layer):
    """Base class: a layer inside one residual block.

    A layer that keeps the shape of a residual branch needs no base class; the builder copies it for
    every block. A subclass says by `position` where else in the block it is placed, and by
    `for_block` which blocks have it.

    Args:
        data_format: string, `"channels_last"` or `"channels_first"`; defaults to Keras's own.
        **kwargs: arguments of `keras.layers.Layer`, such as `name` and `dtype`. Statistics, gates
            and scores are computed in the variable dtype (float32 in mixed precision), feature maps
            in the compute dtype.

    Raises:
        ValueError: when `data_format` is unknown.
    """

    position = "branch"
    # Whether a `LeanModel` may use `call` directly on PyTorch.
    runs_by_call = True

    def __init__(self, data_format: str | None = None, **kwargs: Any):
        # Pooled statistics and gates stay in float32.
        super().__init__(autocast=False, **kwargs)
        self.data_format = standardize_data_format(data_format)

    def for_block(self, place: BlockPlace, name: str | None = None) -> "BlockAttention | None":
        """Returns a new layer with these settings for the block, or `None` for no layer in it."""
        return clone_layer(self, name=name)

    def build_channels(self, input_shape: tuple) -> int:
        """Returns the number of channels, which Keras checks at every later call."""
        axis = channel_axis(self.data_format)
        channels = check_channels("inputs", input_shape, axis)
        self.input_spec = keras.layers.InputSpec(ndim=4, axes={axis: channels})
        return channels

    def add_vector_weight(self, name: str, shape: tuple, initializer: Any) -> keras.Variable:
        """Adds a weight for pooled vectors, which is not cast to the compute dtype."""
        return self.add_weight(name=name, shape=shape, initializer=initializer, autocast=False)

    def add_kernel(self, name: str, inputs: int, outputs: int) -> keras.Variable:
        """Adds the kernel of a linear map of pooled vectors, with PyTorch's initial values."""
        return self.add_vector_weight(name, (inputs, outputs), torch_uniform(inputs))

    def per_channel(self, vector: Tensor) -> Tensor:
        """Shapes `[batch, channels]` for a product or sum with feature maps, in their dtype."""
        return ops.cast(per_channel(vector, self.data_format), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**base_config(self), "data_format": self.data_format}


def position_of(attention: keras.layers.Layer | None) -> str | None:
    """Returns the position of `attention` in its block: one of `POSITIONS`, or `None`."""
    return None if attention is None else getattr(attention, "position", "branch")
