"""The calls in the graph of a functional model."""

import gc
from collections import Counter
from collections.abc import Callable
from typing import Any

import keras

from keras_dla.ops.devices import torch_compiles


def has_nodes(graph: keras.Function) -> bool:
    """Returns whether this Keras gives access to the calls of a functional model."""
    return hasattr(graph, "_nodes_by_depth")


def ordered_nodes(graph: keras.Function) -> list:
    """Returns the calls of a functional model, inputs first, each after the calls that it reads.

    Raises:
        RuntimeError: when this Keras does not give access to them.
    """
    if not has_nodes(graph):
        raise RuntimeError(
            "keras_dla reads the calls of a model from `Function._nodes_by_depth`, which Keras "
            f"{keras.__version__} does not have; use an older Keras."
        )
    depths = sorted(graph._nodes_by_depth, reverse=True)
    return [node for depth in depths for node in graph._nodes_by_depth[depth]]


def calls(graph: keras.Function) -> list:
    """Returns `ordered_nodes` without the inputs."""
    return [node for node in ordered_nodes(graph) if not node.is_input]


def call_node(node: Any, known: dict, operation: Callable) -> None:
    """Calls `operation` as `node` says, with the tensors in `known`, and adds the outputs to them.

    Args:
        node: one of `ordered_nodes`.
        known: tensors by the `id` of those that the graph was made with.
        operation: the operation to call instead of the node's own.
    """
    prepared_call(node)(known, operation)


def prepared_call(node: Any) -> Callable[..., None]:
    """Returns `call_node` for one node, whose arguments and outputs it looks through only once.

    What it returns takes the known tensors, the operation, and settings, which replace arguments of
    the node. The operation must return the same structure every time.

    Args:
        node: one of `ordered_nodes`.
    """
    args, kwargs = _filler(node.arguments.args), _filler(node.arguments.kwargs)
    keys, flat = [id(tensor) for tensor in node.outputs], _flat_as_before()

    def call(known, operation, **settings):
        outputs = operation(*args(known), **{**kwargs(known), **settings})
        known.update(zip(keys, flat(outputs), strict=True))

    return call


def only_readers(nodes: list, outputs: list) -> dict[int, Any]:
    """Returns the only reader of each tensor that has just one, by the tensor's `id`.

    Args:
        nodes: calls of a graph.
        outputs: list of the tensors that are read at the end.
    """
    times = Counter(id(tensor) for node in nodes for tensor in node.input_tensors)
    times.update(map(id, outputs))
    return {
        id(tensor): node
        for node in nodes
        for tensor in node.input_tensors
        if times[id(tensor)] == 1
    }


def has_nest(node: Any) -> bool:
    """Returns whether a call reads tensors in lists or dictionaries, or returns several."""
    values = (*node.arguments.args, *node.arguments.kwargs.values())
    nested = any(isinstance(value, (dict, list, tuple)) for value in values)
    return nested or len(node.outputs) > 1


def free_young_cycles() -> None:
    """Frees the reference cycles that the latest call of a layer has left.

    On PyTorch, Keras's call of a layer leaves reference cycles around nested arguments and outputs,
    and around the arguments beside them. They keep feature maps alive until Python's garbage
    collector runs, which may take several steps.
    """
    if not torch_compiles():  # a compiled graph does not call layers
        gc.collect(0)


def last_reads(steps: list[tuple[set, set]], outputs: list) -> list[set]:
    """Returns for every step the ids of the tensors that no later step reads.

    Args:
        steps: list of pairs, the ids of the tensors that a step reads and those that it makes.
        outputs: list of the tensors that are read at the end.
    """
    needed = set(map(id, outputs))
    found = []
    for reads, writes in reversed(steps):
        used = reads | writes
        found.append(used - needed)
        needed |= used
    return found[::-1]


def _filler(nest) -> Callable[[dict], Any]:
    """Returns a function that replaces the symbolic tensors of the graph by the actual ones.

    Keras's own `fill_in` does the same with general trees, which takes as long as a small layer.
    """
    if isinstance(nest, keras.KerasTensor):
        key = id(nest)
        return lambda known: known.get(key)
    if isinstance(nest, dict):
        entries = [(key, _filler(value)) for key, value in nest.items()]
        return lambda known: {key: fill(known) for key, fill in entries}
    if isinstance(nest, (list, tuple)):
        fillers = [_filler(value) for value in nest]
        return lambda known: _like(nest, [fill(known) for fill in fillers])
    return lambda known: nest


def _flat_as_before() -> Callable[[Any], list]:
    """Returns a function that returns the tensors of a nested structure in Keras's order.

    On PyTorch, Keras's own `flatten` leaves reference cycles, which keep its arguments alive until
    Python's garbage collector runs, so it gets numbers instead of the feature maps, and only once.
    """
    paths: list[tuple] = []

    def flat(nest):
        if not isinstance(nest, (dict, list, tuple)):
            return [nest]
        if not paths:
            found: list[tuple] = []
            numbers = keras.tree.flatten(_numbered(nest, (), found))
            paths.extend(found[number] for number in numbers)
        tensors = []
        for path in paths:
            value = nest
            for key in path:
                value = value[key]
            tensors.append(value)
        return tensors

    return flat


def _numbered(nest, path: tuple, paths: list[tuple]):
    """Appends the keys that lead to each tensor to `paths`; returns the nest of their indices."""
    if isinstance(nest, dict):
        numbered = nest.copy()
        numbered.update((key, _numbered(one, (*path, key), paths)) for key, one in nest.items())
        return numbered
    if isinstance(nest, (list, tuple)):
        return _like(nest, [_numbered(one, (*path, n), paths) for n, one in enumerate(nest)])
    paths.append(path)
    return len(paths) - 1


def _like(nest, values: list):
    """Returns a list or tuple of the type of `nest`; a named tuple takes its values one by one."""
    return type(nest)(*values) if hasattr(nest, "_fields") else type(nest)(values)
