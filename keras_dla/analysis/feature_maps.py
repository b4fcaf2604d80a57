"""Finds the feature map of a classifier for class activation maps."""

import keras

from keras_dla.analysis.complexity.symbolic_run import has_graph
from keras_dla.analysis.graph import backwards, model_nodes, producers
from keras_dla.keras_internals.private_names import all_layers
from keras_dla.ops.channels import spatial_axes


def feature_map(model: keras.Model, layer: str | keras.layers.Layer | None) -> keras.KerasTensor:
    """Returns the output of `layer` at its last call, or the last map before global pooling.

    Raises:
        ValueError: when there is no such map.
    """
    return _last_map(model) if layer is None else _map_of_layer(model, layer)


def data_format_of(model: keras.Model, tensor: keras.KerasTensor) -> str:
    """Returns the data format of the nearest layer before a map that has one."""
    made_by = producers(model_nodes(model))
    return _data_format(tensor, made_by)


def _last_map(model) -> keras.KerasTensor:
    made_by = producers(model_nodes(model))

    def is_map(tensor: keras.KerasTensor) -> bool:
        return len(tensor.shape) == 4 and not _is_pooled(tensor, made_by)

    maps: list[keras.KerasTensor] = []
    for tensor in backwards(model.outputs[0], made_by, stop=is_map):
        node = made_by[id(tensor)]
        if is_map(tensor):
            maps += [] if node.is_input else [tensor]
        elif has_graph(node.operation):
            raise ValueError(
                "`model` must not have its feature maps inside a nested model, but has "
                f"{node.operation.name!r}."
            )
    if not maps:
        raise ValueError(f"`model` must have a feature map, but {model.name!r} has none.")
    if len(maps) > 1:
        raise ValueError(
            f"`layer` must name a layer of {model.name!r}, which has {len(maps)} last feature "
            "maps, but is None."
        )
    return maps[0]


def _map_of_layer(model, layer) -> keras.KerasTensor:
    nodes = model_nodes(model)
    used = {id(x) for node in nodes for x in node.input_tensors}
    maps = [
        tensor
        for node in nodes
        if layer in (node.operation, node.operation.name) and not node.is_input
        for tensor in reversed(node.outputs)
        if len(tensor.shape) == 4 and id(tensor) in used
    ]
    if not maps:
        name = getattr(layer, "name", layer)
        raise ValueError(
            f"`layer` must be a layer of {model.name!r} with a feature map that the model uses, "
            f"or the name of one, but is {name!r}."
        )
    return maps[-1]


def _is_pooled(tensor, made_by) -> bool:
    """Returns whether a map is pooled globally, possibly with its axes kept."""
    axes = spatial_axes(_data_format(tensor, made_by))
    return all(tensor.shape[axis] == 1 for axis in axes)


def _data_format(tensor, made_by) -> str:
    for x in backwards(tensor, made_by):
        for layer in reversed(_layers_of(made_by[id(x)].operation)):
            data_format = getattr(layer, "data_format", None)
            if isinstance(data_format, str):
                return data_format
    return keras.config.image_data_format()


def _layers_of(operation: keras.Operation) -> list[keras.layers.Layer]:
    is_layer = isinstance(operation, keras.layers.Layer)
    return all_layers(operation) if is_layer else []
