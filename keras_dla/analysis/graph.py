"""A model's graph, and the parts of it before and after a tensor."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import keras

from keras_dla.keras_internals.graph_nodes import call_node, ordered_nodes
from keras_dla.models import LeanModel
from keras_dla.utils.types import Tensor


def model_nodes(model: keras.Model) -> list[Any]:
    """Returns the calls of a functional or built sequential model, in an order to run them in."""
    return ordered_nodes(keras.Function(model.inputs, model.outputs))


def producers(nodes: list[Any]) -> dict[int, Any]:
    """Returns the call that made each tensor, by the tensor's `id`."""
    return {id(tensor): node for node in nodes for tensor in node.outputs}


def backwards(
    tensor: keras.KerasTensor,
    made_by: dict[int, Any],
    stop: Callable[[keras.KerasTensor], bool] = lambda tensor: False,
) -> Iterator[keras.KerasTensor]:
    """Yields `tensor` and the tensors it depends on, nearest first, up to the `stop` tensors."""
    seen, waiting = {id(tensor)}, [tensor]
    for tensor in waiting:
        yield tensor
        if not stop(tensor):
            inputs = {id(x): x for x in made_by[id(tensor)].input_tensors}
            waiting += [x for key, x in inputs.items() if key not in seen]
            seen |= inputs.keys()


def cut(
    model: keras.Model, tensor: keras.KerasTensor, result: keras.KerasTensor
) -> tuple[keras.Model, Callable[[list[Tensor]], Tensor]]:
    """Cuts a model into a part up to a tensor and a function that continues from it.

    Keras can make a model that starts at an intermediate tensor, but adds calls to its layers, and
    loses track of layers that are called several times.

    Args:
        model: functional or built sequential model.
        tensor: tensor of its graph at which to cut.
        result: tensor of its graph to compute from it.

    Returns:
        A model from the inputs of `model` to a list of `tensor` and the other tensors that are
        needed, and a function of such a list that returns `result`, computed in inference.
    """
    nodes = model_nodes(model)
    needed = {id(x) for x in backwards(result, producers(nodes))}
    inner: set[int] = {id(tensor)}
    after: list[Any] = []
    for node in nodes:
        if not inner.isdisjoint(map(id, node.input_tensors)) and _makes(node, needed):
            after.append(node)
            inner |= set(map(id, node.outputs))
    outer = {id(x): x for node in after for x in node.input_tensors if id(x) not in inner}
    border = [tensor, *outer.values()]

    def run(values: list[Tensor]) -> Tensor:
        known = dict(zip(map(id, border), values, strict=True))
        for node in after:
            call_node(node, known, _in_inference(node.operation))
        return known[id(result)]

    return LeanModel(model.inputs, border), run


def _makes(node, needed: set[int]) -> bool:
    return not needed.isdisjoint(map(id, node.outputs))


def _in_inference(operation: keras.Operation) -> Callable:
    if "training" not in inspect.signature(operation.call).parameters:
        return operation
    return lambda *args, **kwargs: operation(*args, **{**kwargs, "training": False})
