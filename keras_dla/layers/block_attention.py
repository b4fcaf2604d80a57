"""The protocol of attention inside one residual block."""

from typing import NamedTuple

import keras

from keras_dla.layers.base_config import base_config
from keras_dla.layers.validation import standardize_data_format

# Where in its block the layer stands, and what it is called with:
# - "convolution": in place of the 3x3 convolution, with that one's input;
# - "branch": behind the last BN, with the residual branch;
# - "bridge": there too, with a list: the maps behind the first two activations, and the branch;
# - "output": behind the block's last activation, with the block's output.
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
    index: int
    depth: int
    planes: int
    strides: int


class BlockAttention(keras.layers.Layer):
    """Base class: a layer inside one residual block.

    A layer that maps a residual branch to one of its shape needs no base class; the builder copies
    it for every block. A subclass says by `position` where else in the block it stands, and by
    `for_block` which blocks have it.

    Args:
        data_format: `"channels_last"` or `"channels_first"`; Keras's own by default.
        dtype: dtype or dtype policy. Statistics, gates and scores are computed in the variable
            dtype (float32 in mixed precision), feature maps in the compute dtype.

    Raises:
        ValueError: if `data_format` is unknown.
    """

    position = "branch"

    def __init__(self, data_format: str | None = None, **kwargs):
        # Pooled statistics and gates stay in float32.
        super().__init__(autocast=False, **kwargs)
        self.data_format = standardize_data_format(data_format)

    def for_block(self, place: BlockPlace, name: str | None = None) -> "BlockAttention | None":
        """Returns a new layer with this one's settings for the block, or `None` to leave it out."""
        return clone_layer(self, name)

    def get_config(self):
        return {**base_config(self), "data_format": self.data_format}


def clone_layer(layer: keras.layers.Layer, name: str | None) -> keras.layers.Layer:
    """Returns a new layer with the settings of `layer`."""
    return type(layer).from_config({**layer.get_config(), "name": name})


def position_of(attention: keras.layers.Layer | None) -> str | None:
    """Returns where in its block `attention` stands: one of `POSITIONS`, or `None`."""
    return None if attention is None else getattr(attention, "position", "branch")
