"""What Keras's call of a layer comes down to on PyTorch, where the arguments need no care.

The private names of Keras that this takes stand in this file alone.
"""

import functools
import inspect
from contextlib import nullcontext

import keras
import torch
from keras.src.backend.common import global_state
from keras.src.backend.common.variables import AutocastScope, get_autocast_scope

_SAME_SCOPE = nullcontext()
# What an argument may be but a tensor: Keras refuses all others by position.
_POSITIONAL = (type(None),)
_BY_NAME = (type(None), bool, int, float, str)


def needs_only_call(operation, args, kwargs) -> bool:
    """Returns whether Keras would do nothing for this call but call `operation.call`.

    The call must come from inside a layer's, which says whether it trains; a layer must be built
    and have no extras; the arguments must be tensors, of a layer's dtype and without masks.
    """
    if _call_context() is None or _recomputes_or_is_quantised(operation):
        return False
    if isinstance(operation, keras.layers.Layer):
        return _layer_needs_only_call(operation, args, kwargs)
    return _are_ready(args, None, _POSITIONAL) and _are_ready(kwargs.values(), None, _BY_NAME)


def call(operation, args, kwargs):
    """Calls `operation.call`, a layer's with the `training` and dtype scope of Keras."""
    if isinstance(operation, keras.layers.Layer):
        return _call_layer(operation, args, kwargs)
    return operation.call(*args, **kwargs)


def _layer_needs_only_call(layer, args, kwargs):
    if not layer.built or _has_extras(layer):
        return False
    dtype = getattr(torch, layer.compute_dtype)
    of_inputs = dtype if layer.autocast else None
    return (
        dtype.is_floating_point
        and _are_ready(args, of_inputs, _POSITIONAL)
        and _are_ready(kwargs.values(), of_inputs, _BY_NAME)
    )


def _call_layer(layer, args, kwargs):
    context = _call_context()
    takes_training, default = _training_argument(type(layer))
    training = kwargs.pop("training", context.get_value("training"))
    context.set_value("training", default if training is None else training)
    if takes_training and training is not None:
        kwargs["training"] = training
    with _autocast_scope(layer):
        return layer.call(*args, **kwargs)


def _call_context():
    return global_state.get_global_attribute("current_call_ctx")


def _recomputes_or_is_quantised(operation) -> bool:
    recomputes = getattr(operation, "_remat_mode", None) is not None
    return recomputes or getattr(operation, "quantization_mode", None) is not None


def _has_extras(layer) -> bool:
    """Whether the layer regularises, takes more of its caller, or is hooked by PyTorch's means."""
    return bool(
        layer.activity_regularizer is not None
        or layer._call_context_args != {"training"}
        or layer._forward_hooks
        or layer._forward_pre_hooks
        or layer._backward_hooks
        or layer._backward_pre_hooks
        or torch.nn.modules.module._has_any_global_hook()
    )


def _are_ready(values, dtype, kinds) -> bool:
    """Whether no value would be converted: nests are of tensors alone, as Keras has it."""
    for value in values:
        if isinstance(value, torch.Tensor):
            if getattr(value, "_keras_mask", None) is not None:
                return False
            if dtype is not None and value.dtype != dtype and value.is_floating_point():
                return False
        elif isinstance(value, (list, tuple, dict)):
            nest = value.values() if isinstance(value, dict) else value
            if not _are_ready(nest, dtype, kinds):
                return False
        elif not isinstance(value, kinds):
            return False
    return True


@functools.cache
def _training_argument(layer_class) -> tuple:
    """Returns whether the layer's `call` takes `training`, and the default of it."""
    parameter = inspect.signature(layer_class.call).parameters.get("training")
    if parameter is None:
        return False, None
    return True, None if parameter.default is parameter.empty else parameter.default


def _autocast_scope(layer):
    scope = get_autocast_scope()
    if scope is None:
        mixed = layer.compute_dtype != layer.variable_dtype
        return AutocastScope(layer.compute_dtype) if mixed else _SAME_SCOPE
    dtype = layer.compute_dtype if layer.autocast else None
    return _SAME_SCOPE if scope.dtype == dtype else AutocastScope(dtype)
