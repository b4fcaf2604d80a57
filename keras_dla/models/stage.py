"""A stage of residual blocks, and the ways its blocks can talk."""

from collections.abc import Callable

import keras
from keras import layers

from keras_dla.layers.layer_interaction import LayerInteraction


def clone_layer(layer: keras.layers.Layer, name: str) -> keras.layers.Layer:
    """Returns a new layer with the settings of `layer`."""
    return type(layer).from_config({**layer.get_config(), "name": name})


def stage(x, depth: int, block: Callable, interaction: keras.layers.Layer | None, name: str):
    """Runs `depth` blocks, and lets `interaction` decide how branch and shortcut meet.

    Args:
        x: the stage's input.
        depth: integer, the number of blocks.
        block: function of `(x, index, name, attention)` that returns the residual branch and the
            shortcut of block `index`.
        interaction: `None` for plain addition; a `LayerInteraction`, copied once for the stage;
            or any other layer that maps a feature map to one of its shape (a block attention),
            copied for every block.
        name: prefix of the layers' names.

    Returns:
        The stage's output.
    """
    if isinstance(interaction, LayerInteraction):
        return _interacting_stage(x, depth, block, interaction, name)
    for index in range(depth):
        block_name = f"{name}_block{index + 1}"
        attention = interaction and clone_layer(interaction, f"{block_name}_attention")
        branch, shortcut = block(x, index, block_name, attention)
        x = layers.Add(name=f"{block_name}_add")([branch, shortcut])
        x = layers.ReLU(name=f"{block_name}_relu3")(x)
    return x


def _interacting_stage(x, depth, block, interaction, name):
    interaction = interaction.for_stage(depth, f"{name}_interaction")
    state = None
    for index in range(depth):
        x = interaction.block_input(x, state, index)
        branch, shortcut = block(x, index, f"{name}_block{index + 1}", None)
        x, state = interaction(branch, state, shortcut=shortcut, index=index)
    return x
