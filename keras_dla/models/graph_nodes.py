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
    args, kwargs = node.arguments.fill_in(known)
    outputs = operation(*args, **kwargs)
    known.update(zip(map(id, node.outputs), keras.tree.flatten(outputs), strict=True))
