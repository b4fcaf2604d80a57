"""Adds layer interaction to a trained network of any kind without changing its outputs at first."""

import math
from collections.abc import Sequence
from typing import Any

import keras

from keras_dla.keras_internals.graph_nodes import call_node
from keras_dla.layers.base_config import clone_layer
from keras_dla.layers.interaction.dynamic_layer_attention import DynamicLayerAttention
from keras_dla.layers.interaction.layer_attention import LayerAttention
from keras_dla.layers.interaction.layer_interaction import LayerInteraction
from keras_dla.layers.neutral_start import start_neutral
from keras_dla.layers.registry import find_interaction
from keras_dla.models.functional_copy import calls_of, copy_of, copy_weights, rebuild
from keras_dla.ops.channels import channel_axis

LARGEST_HEAD = 32
# The size that replaces an unknown height or width when shapes are compared.
PROBE = 256


def add_interaction(
    model: keras.Model,
    interaction: str | LayerInteraction,
    after: Sequence[str] | None = None,
) -> keras.Model:
    """Returns a copy of a network in which blocks of equal shape read each other.

    The copy has the network's weights, and an interaction layer with a neutral start for each run
    of blocks: its outputs are those of the network until it is trained. Heads have the largest
    number of channels, at most 32, that divides the run's channels.

    Args:
        model: functional `keras.Model`, such as a network of `keras.applications`, a backbone of
            KerasHub, or your own.
        interaction: string, `"mrla_b"`, `"mrla_l"`, `"dla_b"` or `"dla_l"`; or such a layer, with
            settings of its own, or another `LayerInteraction` that begins as the identity
            (`start_neutral` returns 1).
        after: list of strings, names of the layers whose outputs the interaction reads, in order;
            defaults to `None`, the sum of each residual block, or the activation after it if
            nothing else reads the sum. Neighbours of equal shape form a run; a single layer is left
            out.

    Returns:
        A functional `keras.Model` with the inputs and outputs of `model`.

    Raises:
        ValueError: when the model is not functional or has no such runs, or the interaction has no
            neutral start.

    Reference:
        https://arxiv.org/abs/2406.13392

    Example:
    >>> import keras
    >>> import keras_dla
    >>> plain = keras.applications.MobileNetV2((32, 32, 3), weights=None, classes=10)
    >>> model = keras_dla.models.add_interaction(plain, "dla_l")
    >>> [layer.name for layer in model.layers if "interaction" in layer.name][:2]
    ['block_4_add_interaction', 'block_7_add_interaction']
    """
    nodes = calls_of(model)
    data_format = _data_format(nodes)
    layer = _layer(interaction, data_format)
    points = _named(nodes, after) if after is not None else _residual_outputs(nodes)
    runs = _runs(points, _shapes(model, nodes))
    if not runs:
        raise ValueError(_no_runs(model, nodes, after))
    copy, layers, added = _copied(model, nodes, runs, layer)
    copy_weights(layers)
    for new in added:
        if start_neutral(new) != 1:
            raise ValueError(
                "`interaction` must be able to start as the identity, as MRLA and DLA do, but "
                f"{type(new).__name__} scales its input."
            )
    return copy


def _data_format(nodes: list[Any]) -> str:
    """Returns the data format of the network's convolutions."""
    found = [getattr(node.operation, "data_format", None) for node in nodes]
    return next((one for one in found if one), keras.config.image_data_format())


def _layer(interaction: Any, data_format: str) -> LayerInteraction:
    if isinstance(interaction, str):
        interaction = find_interaction(interaction).make("imagenet", data_format, {})
    if not isinstance(interaction, LayerInteraction) or _reads_inputs(interaction):
        raise ValueError(
            f"`interaction` must be 'mrla_b', 'mrla_l', 'dla_b', 'dla_l' or a LayerInteraction "
            f"that reads only the blocks' outputs, but is {interaction!r}."
        )
    return interaction


def _reads_inputs(interaction: LayerInteraction) -> bool:
    """Returns whether the interaction gives blocks more to read than the network does."""
    return type(interaction).block_input is not LayerInteraction.block_input


def _named(nodes: list[Any], after: Sequence[str]) -> list[Any]:
    points = []
    for name in after:
        found = [node for node in nodes if node.operation.name == name]
        if len(found) != 1:
            what = "is called several times" if found else "is not in the network"
            raise ValueError(f"`after` must name layers that are called once, but {name!r} {what}.")
        points += found
    return points


def _residual_outputs(nodes: list[Any]) -> list[Any]:
    """Returns the calls that end a residual block: a sum of two maps, or its activation."""
    readers: dict[int, list[Any]] = {}
    for node in nodes:
        for tensor in node.input_tensors:
            readers.setdefault(id(tensor), []).append(node)
    points = []
    for node in nodes:
        shapes = [tensor.shape for tensor in node.input_tensors]
        if type(node.operation).__name__ != "Add" or len(shapes) != 2 or len(shapes[0]) != 4:
            continue
        following = readers.get(id(node.outputs[0]), [])
        activated = len(following) == 1 and isinstance(
            following[0].operation, (keras.layers.ReLU, keras.layers.Activation)
        )
        points.append(following[0] if activated else node)
    return points


def _shapes(model: keras.Model, nodes: list[Any]) -> dict[int, tuple]:
    """Returns the shape of every tensor for images of one size, by the tensor's `id`."""
    known = {
        id(tensor): keras.KerasTensor(
            (tensor.shape[0], *(size or PROBE for size in tensor.shape[1:])), tensor.dtype
        )
        for tensor in model.inputs
    }
    for node in nodes:
        call_node(node, known, node.operation.compute_output_spec)
    return {key: tuple(tensor.shape) for key, tensor in known.items()}


def _runs(points: list[Any], shapes: dict[int, tuple]) -> list[list[Any]]:
    """Returns the runs of at least two neighbours of equal shape."""
    runs: list[list[Any]] = []
    last = None
    for point in points:
        shape = shapes[id(point.outputs[0])]
        if shape == last:
            runs[-1].append(point)
        else:
            runs.append([point])
        last = shape
    return [run for run in runs if len(run) > 1]


def _no_runs(model: keras.Model, nodes: list[Any], after: Sequence[str] | None) -> str:
    if after is not None:
        return (
            "`after` must name at least two consecutive layers whose outputs have the same "
            f"shape, but is {list(after)!r}."
        )
    nested = [n.operation.name for n in nodes if isinstance(n.operation, keras.Model)]
    inside = f"; its blocks may be inside {nested[0]!r}: give that model" if nested else ""
    return (
        f"`model` must have consecutive residual blocks of the same shape, but {model.name!r} "
        f"has none{inside}; for other kinds of blocks, `after` names the layers."
    )


def _copied(
    model: keras.Model, nodes: list[Any], runs: list[list[Any]], layer: LayerInteraction
) -> tuple[keras.Model, list[tuple], list[LayerInteraction]]:
    """Returns the copy, pairs of an old layer and its copy, and the interactions of the runs."""
    copies: dict[int, tuple[Any, Any]] = {}
    places = {id(node): (run, index) for run in runs for index, node in enumerate(run)}
    talking: dict[int, tuple[LayerInteraction, Any]] = {}

    def call(node, known):
        operation = node.operation
        _, copy = copies.setdefault(id(operation), (operation, copy_of(operation)))
        call_node(node, known, copy)
        if id(node) not in places:
            return
        run, index = places[id(node)]
        output = id(node.outputs[0])
        interaction, state = talking.get(id(run), (None, None))
        if interaction is None:
            interaction = _for_run(layer, run, known[output].shape)
        known[output], state = interaction(known[output], state, index=index)
        talking[id(run)] = interaction, state

    copy, _ = rebuild(model, nodes, call)
    return copy, list(copies.values()), [interaction for interaction, _ in talking.values()]


def _for_run(layer: LayerInteraction, run: list[Any], shape: tuple) -> LayerInteraction:
    """Returns the layer for a run, with heads (and a reduction) that fit the channels."""
    channels = shape[channel_axis(layer.data_format)]
    changes: dict[str, Any] = {}
    if isinstance(layer, (DynamicLayerAttention, LayerAttention)):
        changes["head_size"] = math.gcd(channels, LARGEST_HEAD)
    if isinstance(layer, DynamicLayerAttention):
        changes["reduction"] = min(layer.reduction, channels)
    name = f"{run[0].operation.name}_interaction"
    return clone_layer(layer, **changes, depth=len(run), name=name)
