"""Propagates shapes through a model's graph, call by call, without computing anything."""

from functools import partial
from typing import NamedTuple

import keras

from keras_dla.keras_internals.graph_nodes import call_node, calls


class Call(NamedTuple):
    """One call of a layer or operation; tensors are `keras.KerasTensor`s.

    Args:
        name: string, the operation's name, after the names of the models that contain it.
        operation: layer or operation.
        args: tuple, its positional arguments.
        kwargs: dictionary, its keyword arguments.
        outputs: structure of tensors that it returns.
    """

    name: str
    operation: keras.Operation
    args: tuple
    kwargs: dict
    outputs: object


def has_graph(operation: object) -> bool:
    """Returns whether `operation` is a model with a graph in Keras."""
    if isinstance(operation, keras.Sequential):
        return operation.built
    return isinstance(operation, keras.Function)


def symbolic_calls(model: keras.Model, inputs: list[keras.KerasTensor]) -> list[Call]:
    """Returns the calls of `model`, including those inside nested models.

    Args:
        model: functional or built sequential model.
        inputs: list with one `keras.KerasTensor` per entry of `model.inputs`.
    """
    made: list[Call] = []
    _run(model, inputs, "", made)
    return made


def _run(model, inputs: list, prefix: str, made: list[Call]) -> list:
    graph = keras.Function(model.inputs, model.outputs)
    known = dict(zip(map(id, graph.inputs), inputs, strict=True))
    for node in calls(graph):
        call_node(node, known, partial(_call, node.operation, prefix, made))
    return [known[id(output)] for output in graph.outputs]


def _call(operation, prefix: str, calls: list[Call], /, *args, **kwargs):
    name = prefix + operation.name
    if has_graph(operation):
        return _run(operation, tensors((args, kwargs)), f"{name}/", calls)
    outputs = operation.compute_output_spec(*args, **kwargs)
    calls.append(Call(name, operation, args, kwargs, outputs))
    return outputs


def tensors(nest: object) -> list[keras.KerasTensor]:
    """Returns the `keras.KerasTensor`s of a nested structure."""
    return [x for x in keras.tree.flatten(nest) if isinstance(x, keras.KerasTensor)]
