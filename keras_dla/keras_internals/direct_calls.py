"""Calls of layers on PyTorch that leave out what Keras does around a layer's own `call`.

At every call Keras converts arguments and looks for masks, dtypes, contexts and losses. On PyTorch,
which runs layer by layer, this takes longer than the kernels of a small network's layer. Where none
of it would have an effect, the layer's `call` is used directly.
"""

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import keras

from keras_dla.keras_internals.graph_nodes import free_young_cycles, has_nest, prepared_call
from keras_dla.keras_internals.private_names import (
    AutocastScope,
    autocast_scope,
    is_rematerialised,
)

# Keras's own layers without anything beside `call`; ours say so by `runs_by_call`.
PLAIN_LAYERS = (keras.layers.Add, keras.layers.Dense, keras.layers.Identity, keras.layers.ReLU)
FORWARD_HOOKS = "_forward_pre_hooks", "_forward_hooks"
HOOKS = (*FORWARD_HOOKS, "_backward_pre_hooks", "_backward_hooks")


def layer_step(node: Any) -> Callable[[bool | None, dict], None]:
    """Returns a function of `training` and known tensors that makes one call of a graph.

    It adds the call's outputs to the tensors, which it finds by the `id` of the graph's.

    Args:
        node: one of `ordered_nodes`.
    """
    layer, call = node.operation, prepared_call(node)
    operation = _direct_call(layer) if _runs_by_call(node) else layer
    takes_training = "training" in inspect.signature(layer.call).parameters
    leaves_cycles = has_nest(node) and operation is layer

    def step(training, tensors):
        settings = {} if training is None or not takes_training else {"training": training}
        call(tensors, operation, **settings)
        if leaves_cycles:
            free_young_cycles()

    return step


def hooks_of(operations: Iterable, names: tuple[str, ...] = HOOKS) -> list[dict]:
    """Returns the dictionaries in which PyTorch keeps the hooks of layers."""
    return [getattr(one, name) for one in operations for name in names if hasattr(one, name)]


def _runs_by_call(node) -> bool:
    layer = node.operation
    if type(layer) not in PLAIN_LAYERS and not getattr(layer, "runs_by_call", False):
        return False
    if layer.quantization_mode is not None or is_rematerialised(layer):
        return False
    casts = layer.autocast and any(x.dtype != layer.compute_dtype for x in node.input_tensors)
    own = type(layer).__call__ is keras.layers.Layer.__call__ and AutocastScope is not None
    return own and layer.built and not casts


def _direct_call(layer) -> Callable:
    policy, hooks = layer.dtype_policy, hooks_of([layer])
    is_plain = layer.compute_dtype == layer.variable_dtype

    def call(*args, **kwargs):
        # A quantised layer has another policy, and so has one whose policy was replaced.
        changed = layer.dtype_policy is not policy or layer.activity_regularizer is not None
        if changed or any(hooks) or _has_mask(args[0] if args else next(iter(kwargs.values()))):
            return layer(*args, **kwargs)
        scope = autocast_scope()
        if scope is None:
            return (layer.call if is_plain else layer)(*args, **kwargs)
        if layer.autocast:
            return (layer.call if scope.dtype == policy.compute_dtype else layer)(*args, **kwargs)
        with AutocastScope(None):
            return layer.call(*args, **kwargs)

    return call


def _has_mask(first) -> bool:
    tensors = first if isinstance(first, (list, tuple)) else (first,)
    return any(getattr(tensor, "_keras_mask", None) is not None for tensor in tensors)
