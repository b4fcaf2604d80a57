"""The best of many scores, in the same order on every backend."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

import keras
from keras import ops

from keras_dla.utils.types import Tensor

_SORTS_ALL = ContextVar("sorts_all", default=False)


@contextlib.contextmanager
def sorting_all() -> Iterator[None]:
    """A context in which `stable_top_k` sorts all scores, with the same result.

    It is for exported programs, because TensorFlow cannot read the `top_k` of newer versions of
    JAX.
    """
    token = _SORTS_ALL.set(True)
    try:
        yield
    finally:
        _SORTS_ALL.reset(token)


def stable_top_k(scores: Tensor, count: int) -> Tensor:
    """Returns the indices of the `count` largest scores, by descending score.

    For equal scores the lower index comes first, on every backend. Sorting all scores instead would
    take up to sixty times as long.

    Args:
        scores: tensor, `[..., N]` with `N >= count`; NaN counts as minus infinity.
        count: integer, the number of indices.

    Returns:
        An int32 tensor `[..., count]` of indices.

    Example:
    >>> from keras import ops
    >>> from keras_dla.detection.ops.stable_top_k import stable_top_k
    >>> ops.convert_to_numpy(stable_top_k([[0.5, 2.0, 0.5, 2.0]], 3)).tolist()
    [[1, 3, 0]]
    """
    scores = ops.stop_gradient(ops.convert_to_tensor(scores))
    # XLA would rank -0.0 below 0.0, and the backends rank NaN differently.
    scores = ops.where(scores == 0, ops.zeros_like(scores), scores)
    if "float" in keras.backend.standardize_dtype(scores.dtype):
        scores = ops.where(ops.isnan(scores), ops.full_like(scores, -float("inf")), scores)
    if count == 0:
        return ops.cast(scores[..., :0], "int32")
    if count == scores.shape[-1]:
        return ops.cast(ops.argsort(-scores, axis=-1), "int32")
    if keras.backend.backend() == "jax" and _SORTS_ALL.get():
        return ops.cast(ops.argsort(-scores, axis=-1)[..., :count], "int32")
    if keras.backend.backend() == "torch":
        return _stable_top_k_in_steps(scores, count)
    return ops.cast(ops.top_k(scores, count)[1], "int32")


def _stable_top_k_in_steps(scores, count):
    """The same if `top_k` returns equal scores in any order, as on PyTorch."""
    last = ops.top_k(scores, count)[0][..., -1:]
    greater, equal = scores > last, scores == last
    wanted = count - ops.sum(ops.cast(greater, "int32"), axis=-1, keepdims=True)
    first_equals = equal & (ops.cumsum(ops.cast(equal, "int32"), axis=-1) <= wanted)
    # By ascending index; a stable sort by score keeps this order among equal scores.
    number = scores.shape[-1]
    chosen = ops.where(greater | first_equals, -ops.arange(number, dtype="int32"), -number)
    indices = -ops.top_k(chosen, count)[0]
    order = ops.argsort(-ops.take_along_axis(scores, indices, axis=-1), axis=-1)
    return ops.cast(ops.take_along_axis(indices, order, axis=-1), "int32")
