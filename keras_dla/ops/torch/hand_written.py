"""PyTorch functions with hand-written backward passes that work under every transform."""

import inspect
from collections.abc import Callable
from typing import Any

import torch

from keras_dla.ops.devices import torch_only_infers


def signed(function: Callable) -> Callable:
    """Has a function carry its signature, which PyTorch else works out in every `apply`."""
    function.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return function


class HandWritten(torch.autograd.Function):
    """A function with a hand-written backward pass; other derivatives are those of its plain form.

    A subclass defines static methods of the same tensors: `forward`; `plain`, which computes the
    same with operations that PyTorch differentiates; `tangent(inputs, tangents)`, the derivative in
    a direction; and `fast_backward(inputs, *gradients)`, which is never differentiated itself.
    """

    # How many of the last outputs have no gradient; `fast_backward` gets them after the inputs.
    kept_outputs = 0
    plain: Any
    tangent: Any
    fast_backward: Any

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        signed(cls.forward)

    @classmethod
    def run(cls, *inputs: Any) -> Any:
        """Returns what `apply` returns, at less cost where nothing is differentiated."""
        return cls.forward(*inputs) if torch_only_infers() else cls.apply(*inputs)

    @classmethod
    def setup_context(cls, ctx: Any, inputs: tuple, output: Any) -> None:
        kept = output[len(output) - cls.kept_outputs :] if cls.kept_outputs else ()
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*kept)
        ctx.save_for_backward(*inputs, *kept)
        ctx.save_for_forward(*inputs)

    @classmethod
    def backward(cls, ctx: Any, *gradients: Any) -> Any:
        # Gradients are enabled only in a backward pass that will itself be differentiated.
        if torch.is_grad_enabled():
            needed = ctx.needs_input_grad
            return _gradients(cls.plain, ctx.saved_tensors[: len(needed)], needed, gradients)
        return cls.fast_backward(ctx.saved_tensors, *gradients)

    @classmethod
    def jvp(cls, ctx: Any, *tangents: Any) -> Any:
        inputs = ctx.saved_tensors
        zeros = (None if x is None else torch.zeros_like(x) for x in inputs)
        pairs = zip(tangents, zeros, strict=True)
        return cls.tangent(inputs, [zero if own is None else own for own, zero in pairs])

    @classmethod
    def vmap(cls, info: Any, in_dims: tuple, *inputs: Any) -> Any:
        outputs = torch.vmap(cls.plain, in_dims)(*inputs)
        return outputs, (0,) * len(outputs) if isinstance(outputs, tuple) else 0


def _gradients(function, inputs, needed, gradients):
    """Returns the gradients of `function`, which can be differentiated again."""
    # Views, so that the gradient of an input does not include that of others computed from it.
    inputs = [None if x is None else x.view_as(x) for x in inputs]
    outputs = function(*inputs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    given = [(y, own) for y, own in zip(outputs, gradients, strict=True) if own is not None]
    wanted = [x for x, needs in zip(inputs, needed, strict=True) if needs]
    if not given or not wanted:
        return (None,) * len(inputs)
    outputs, gradients = zip(*given, strict=True)
    found = iter(
        torch.autograd.grad(outputs, wanted, gradients, create_graph=True, allow_unused=True)
    )
    return tuple(next(found) if needs else None for needs in needed)
