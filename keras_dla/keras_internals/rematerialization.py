"""Layers that `keras.RematScope` can recompute on every backend, whatever their arguments."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import keras

from keras_dla.ops.devices import torch_recomputes

_recomputing: ContextVar[bool] = ContextVar("keras_dla_recomputing", default=False)


def recomputes() -> bool:
    """Returns whether a layer is being recomputed for the backward pass.

    JAX recomputes what it has traced, so there no layer is called a second time.
    """
    return torch_recomputes() if keras.backend.backend() == "torch" else _recomputing.get()


class RematerializesTensors:
    """Mix-in, first of the bases, for a Keras layer whose `call` takes more than tensors."""

    def rematerialized_call(self, layer_call: Callable, *args: Any, **kwargs: Any) -> Callable:
        """Returns what Keras calls instead of `layer_call`, with the same arguments."""
        wrap = super().rematerialized_call  # type: ignore[misc]
        return rematerialize_tensors(self, wrap, layer_call, args, kwargs)


def rematerialize_tensors(
    layer: Any, wrap: Callable, layer_call: Callable, args: tuple, kwargs: dict[str, Any]
) -> Callable:
    """Returns a replacement of `layer_call` in which only tensors are traced.

    In a `keras.RematScope`, JAX would trace every argument of a layer's call, including `training`
    and `index`, and TensorFlow refuses `None`.

    Args:
        layer: the layer.
        wrap: function, Keras's `rematerialized_call` of the layer.
        layer_call: function, the layer's `call`.
        args: tuple, its arguments.
        kwargs: dictionary, its arguments.
    """
    if keras.backend.backend() == "torch":
        return wrap(layer_call, *args, **kwargs)
    leaves = keras.tree.flatten([args, kwargs])
    places = [place for place, leaf in enumerate(leaves) if keras.ops.is_tensor(leaf)]
    moving = layer.non_trainable_variables if keras.backend.backend() == "jax" else []
    structures: list = []

    def of_tensors(*tensors):
        filled = list(leaves)
        for place, tensor in zip(places, tensors, strict=True):
            filled[place] = tensor
        filled_args, filled_kwargs = keras.tree.pack_sequence_as([args, kwargs], filled)
        token = _recomputing.set(_recomputing.get() or bool(structures))
        try:
            if keras.backend.backend() == "jax":
                outputs, moved = _stateless(layer, layer_call, filled_args, filled_kwargs, moving)
            else:
                outputs, moved = layer_call(*filled_args, **filled_kwargs), []
        finally:
            _recomputing.reset(token)
        structures.append(outputs)
        return [*keras.tree.flatten(outputs), *moved]

    wrapped = wrap(of_tensors, *args, **kwargs)

    def call(*_args, **_kwargs):
        outputs = list(wrapped(*(leaves[place] for place in places)))
        count = len(outputs) - len(moving)
        for variable, value in zip(moving, outputs[count:], strict=True):
            variable.assign(value)
        return keras.tree.pack_sequence_as(structures[0], outputs[:count])

    return call


def _stateless(layer, layer_call, args, kwargs, moving):
    """Returns the outputs and the new values of `moving`, which JAX must get as outputs."""
    state = [(variable, variable.value) for variable in layer.variables]
    with keras.StatelessScope(state_mapping=state):
        outputs = layer_call(*args, **kwargs)
        return outputs, [variable.value for variable in moving]
