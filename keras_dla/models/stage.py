"""A stage of residual blocks, and the ways in which its blocks can interact."""

from collections.abc import Callable, Sequence

import keras
from keras import layers

from keras_dla.layers.base_config import clone_layer
from keras_dla.layers.block_attention.block_attention import BlockAttention, BlockPlace, position_of
from keras_dla.layers.interaction.layer_interaction import LayerInteraction
from keras_dla.utils.types import Nest, Tensor


def stage(
    x: Tensor,
    places: Sequence[BlockPlace],
    block: Callable,
    interaction: keras.layers.Layer | None,
    name: str,
    state: Nest = None,
) -> tuple[Tensor, Nest]:
    """Runs the blocks of a stage, and lets `interaction` combine branch and shortcut.

    Args:
        x: the stage's input.
        places: the stage's blocks.
        block: function of `(x, branch_input, place, name, attention)` that returns the residual
            branch and the shortcut of one block.
        interaction: `None` for plain addition; a `LayerInteraction`, copied once for the stage; a
            `BlockAttention`, copied for the blocks it chooses; or any other layer that keeps the
            shape of a feature map, copied for every block's residual branch.
        name: prefix of the layers' names.
        state: what the previous stage returned, `None` for the first.

    Returns:
        The stage's output and its last state, `None` without a `LayerInteraction`.
    """
    if isinstance(interaction, LayerInteraction):
        return _interacting_stage(x, places, block, interaction, name, state)
    for place in places:
        block_name = f"{name}_block{place.index + 1}"
        attention = _attention(interaction, place, f"{block_name}_attention")
        branch, shortcut = block(x, x, place, block_name, attention)
        x = layers.Add(name=f"{block_name}_add")([branch, shortcut])
        x = layers.ReLU(name=f"{block_name}_relu3")(x)
        if position_of(attention) == "output":
            x = attention(x)
    return x, None


def _attention(layer, place, name):
    if isinstance(layer, BlockAttention):
        return layer.for_block(place, name)
    return None if layer is None else clone_layer(layer, name=name)


def _interacting_stage(x, places, block, interaction, name, state):
    interaction = interaction.for_stage(len(places), f"{name}_interaction")
    state = interaction.enter(state)
    for place in places:
        branch_input = interaction.block_input(x, state, place.index)
        branch, shortcut = block(x, branch_input, place, f"{name}_block{place.index + 1}", None)
        x, state = interaction(branch, state, shortcut=shortcut, index=place.index)
    return x, state
