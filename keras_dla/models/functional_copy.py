"""Copies of functional models, made call by call."""

from collections.abc import Callable
from typing import Any

import keras

from keras_dla.keras_internals.graph_nodes import calls
from keras_dla.layers.base_config import clone_layer


def calls_of(model: keras.Model) -> list[Any]:
    """Returns the calls of a functional model, each after those that it reads.

    Args:
        model: functional `keras.Model`.

    Raises:
        ValueError: when the model is not functional.
    """
    if not is_functional(model):
        raise ValueError(f"`model` must be a functional keras.Model, but is {model!r}.")
    return calls(keras.Function(model.inputs, model.outputs))


def is_functional(model: Any) -> bool:
    """Returns whether `model` is a `keras.Model` whose calls are known."""
    return isinstance(model, keras.Model) and bool(getattr(model, "inputs", None))


def rebuild(
    model: keras.Model,
    nodes: list[Any],
    call: Callable[[Any, dict[int, Any]], None],
    kind: type[keras.Model] = keras.Model,
) -> tuple[keras.Model, dict[int, Any]]:
    """Returns a functional model of new calls, and its tensors by the `id` of the old ones.

    Args:
        model: functional `keras.Model`, whose name, inputs and outputs the new model has.
        nodes: list of the model's calls, as `calls_of` returns them.
        call: function that gets a call of the old model and the tensors so far, and adds the
            tensors that stand for the call's outputs.
        kind: class of the new model; defaults to `keras.Model`.
    """
    inputs = {
        id(t): keras.Input(batch_shape=t.shape, dtype=t.dtype, name=t.name) for t in model.inputs
    }
    known: dict[int, Any] = dict(inputs)
    for node in nodes:
        call(node, known)
    # A sequential model that was never called has no `input` and `output`.
    sequential = isinstance(model, keras.Sequential)
    given, made = (model.inputs, model.outputs) if sequential else (model.input, model.output)
    outputs = keras.tree.map_structure(lambda tensor: known[id(tensor)], made)
    structure = keras.tree.map_structure(lambda tensor: inputs[id(tensor)], given)
    return kind(structure, outputs, name=model.name), known


def copy_of(operation: Any) -> Any:
    """Returns a new layer with the settings of `operation`, but not its weights.

    An operation that is not a layer does not belong to a model and is returned itself.
    """
    return clone_layer(operation) if isinstance(operation, keras.layers.Layer) else operation


def copy_weights(copies: list[tuple[Any, Any]]) -> None:
    """Copies the weights of layers.

    Args:
        copies: list of pairs, an operation and its copy, which are built.
    """
    for old, new in copies:
        if new is not old:
            new.set_weights(old.get_weights())
