"""The parameters and FLOPs of a model (the columns of Table 2), counted from its graph."""

import math
from collections import Counter
from collections.abc import Sequence

import keras

from keras_dla.analysis.complexity.complexity_report import Complexity, LayerComplexity
from keras_dla.analysis.complexity.operation_flops import operation_flops
from keras_dla.analysis.complexity.symbolic_run import Call, has_graph, symbolic_calls, tensors
from keras_dla.utils.validation import sizes_fit


def complexity(model: keras.Model, input_shape: Sequence | None = None) -> Complexity:
    """Counts the parameters and the FLOPs of a model, in total and by layer.

    FLOPs are multiply-adds for one image, as in the paper's Table 2: those of convolutions, linear
    maps and the sums of attention. Operations that touch every entry once are left out: biases,
    normalisation, activation, pooling, addition, the scaling of a map by its gate. Every call of a
    shared layer counts, nested models are included, and nothing is computed: only shapes are
    propagated through the graph, on any backend.

    This package's layers report the costs of their parts, and so can your own layers, with a method
    `flops`. It takes the arguments of `call` (without `training` and `mask`), with a
    `keras.KerasTensor` of known size for every tensor, and returns the multiply-adds of its parts
    per image:

        class Scores(keras.layers.Layer):
            def flops(self, inputs):
                _, tokens, channels = inputs.shape
                return {"products": tokens * tokens * channels}

    Of Keras's layers, convolutions (also depthwise, separable and transposed ones), `Dense`,
    normalisations, `Embedding` and layers without weights are known. Other layers of Keras, and
    other layers without `flops`, are listed in `uncounted` and in the table.

    Args:
        model: functional or sequential model.
        input_shape: tuple of integers, the input's shape without the batch axis, in the model's
            data format; a list of shapes in the order of `model.inputs` if it has several; defaults
            to `None`, the model's own, in which all sizes must be known.

    Returns:
        A `Complexity` with `params`, `trainable`, `non_trainable`, `flops`, `uncounted` and
        `layers`, one `LayerComplexity` per layer; `str()` of it is a table, and `to_markdown()` the
        same in Markdown.

    Raises:
        ValueError: when `model` is not such a model, or `input_shape` does not fit it or leaves a
            size unknown.

    Source:
        Table 2 of https://arxiv.org/abs/2406.13392

    Example:
    >>> import keras_dla
    >>> model = keras_dla.models.DLAResNet20(classes=10, data_format="channels_last")
    >>> counts = keras_dla.analysis.complexity(model, (32, 32, 3))
    >>> counts.trainable, counts.flops, counts.uncounted
    (410158, 39022208, ())
    """
    if not has_graph(model):
        raise ValueError(
            f"`model` must be a functional or built sequential model, but is {_describe(model)}."
        )
    shapes = _input_shapes(model, input_shape)
    inputs = [
        keras.KerasTensor((1, *shape), tensor.dtype)
        for shape, tensor in zip(shapes, model.inputs, strict=True)
    ]
    rows = _rows(symbolic_calls(model, inputs))
    params, trainable = _count(model, set())
    shape = shapes[0] if len(shapes) == 1 else shapes
    return Complexity(model.name, shape, rows, params, trainable)


def _describe(model: object) -> str:
    if isinstance(model, keras.Sequential):
        return f"{model.name!r}, which is not built"
    return f"of class {type(model).__name__}"


def _input_shapes(model, input_shape) -> list[tuple]:
    """Returns the shape of every input without the batch axis, with all sizes known."""
    expected = [tuple(tensor.shape[1:]) for tensor in model.inputs]
    given = expected if input_shape is None else _as_shapes(input_shape)
    shapes = expected[0] if len(expected) == 1 else expected
    if not _fit(given, expected):
        raise ValueError(
            f"`input_shape` must fit the model's {shapes} without a batch axis, "
            f"but is {input_shape!r}."
        )
    if any(None in shape for shape in given):
        raise ValueError(
            f"`input_shape` must give every size, because the model's is {shapes}, but is "
            f"{input_shape!r}."
        )
    return given


def _as_shapes(shape: Sequence) -> list[tuple]:
    """Returns `shape`, a shape or a list of shapes, as a list of shapes."""
    if not isinstance(shape, (tuple, list)):
        return []
    several = all(isinstance(entry, (tuple, list)) for entry in shape)
    return [tuple(entry) for entry in shape] if several else [tuple(shape)]


def _fit(given: list[tuple], expected: list[tuple]) -> bool:
    if [len(shape) for shape in given] != [len(shape) for shape in expected]:
        return False
    return sizes_fit(sum(given, ()), sum(expected, ()))


def _rows(calls: list[Call]) -> tuple[LayerComplexity, ...]:
    """Returns one row per layer, and per other operation whose cost is not zero."""
    by_operation: dict[int, list[Call]] = {}
    seen: set[int] = set()
    for call in calls:
        by_operation.setdefault(id(call.operation), []).append(call)
    rows = [_row(of_one, seen) for of_one in by_operation.values()]
    return tuple(row for row in rows if row is not None)


def _row(calls: list[Call], seen: set[int]) -> LayerComplexity | None:
    first, last = calls[0], calls[-1]
    layer = first.operation
    flops, parts = _flops(calls)
    is_layer = isinstance(layer, keras.layers.Layer)
    if not is_layer and flops == 0:
        return None
    params, trainable = _count(layer, seen) if is_layer else (0, 0)
    shape = tuple(tensors(last.outputs)[0].shape[1:])
    kind = type(layer).__name__
    return LayerComplexity(first.name, kind, shape, params, trainable, flops, parts, len(calls))


def _flops(calls: list[Call]) -> tuple[int | None, dict[str, int]]:
    """Returns the multiply-adds of a layer's calls, in total and by part."""
    parts: Counter[str] = Counter()
    for call in calls:
        cost = operation_flops(call)
        if cost is None:
            return None, {}
        parts.update(cost)
    return sum(parts.values()), dict(parts)


def _count(layer, seen: set[int]) -> tuple[int, int]:
    """Counts a layer's parameters, all and trainable, that are not in `seen`, and adds them."""
    weights = {id(weight): weight for weight in layer.weights if id(weight) not in seen}
    seen.update(weights)
    trainable = {id(weight) for weight in layer.trainable_weights}
    sizes = {key: math.prod(weight.shape) for key, weight in weights.items()}
    return sum(sizes.values()), sum(size for key, size in sizes.items() if key in trainable)
