"""The calls in a functional model's graph. Keras's own names for them stand in this file alone."""

from collections.abc import Callable

import keras


def ordered_nodes(graph: keras.Function) -> list:
    """Returns the calls of a functional model, its inputs first, each after those it reads."""
    depths = sorted(graph._nodes_by_depth, reverse=True)
    return [node for depth in depths for node in graph._nodes_by_depth[depth]]


def call_node(node, known: dict, operation: Callable) -> None:
    """Calls `operation` as `node` says, with the tensors in `known`, and adds what it returns.

    Args:
        node: one of `ordered_nodes`.
        known: tensors by the `id` of those that the graph was made with.
        operation: what to call in place of the node's own.
    """
    args = _filled(node.arguments.args, known)
    outputs = operation(*args, **_filled(node.arguments.kwargs, known))
    known.update(zip(map(id, node.outputs), keras.tree.flatten(outputs), strict=True))


def _filled(nest, known):
    """Puts the tensors in place of those that the graph was made with.

    As Keras's own `fill_in` does by its general trees, which takes it as long as a small layer.
    """
    if isinstance(nest, keras.KerasTensor):
        return known.get(id(nest))
    if isinstance(nest, dict):
        return {key: _filled(value, known) for key, value in nest.items()}
    if isinstance(nest, (list, tuple)):
        values = [_filled(value, known) for value in nest]
        # A named tuple takes its values one by one.
        return type(nest)(*values) if hasattr(nest, "_fields") else type(nest)(values)
    return nest
