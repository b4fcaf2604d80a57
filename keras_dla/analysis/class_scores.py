"""Finds a classifier's scores before the softmax or another final activation."""

from collections.abc import Callable
from typing import TypeAlias

import keras
from keras import ops

from keras_dla.analysis.complexity.symbolic_run import has_graph
from keras_dla.analysis.graph import model_nodes, producers
from keras_dla.layers.core.linear import Linear
from keras_dla.ops.products import matmul
from keras_dla.utils.types import Tensor

TensorFunction: TypeAlias = Callable[[Tensor], Tensor]


def class_scores(model: keras.Model) -> tuple[keras.KerasTensor, TensorFunction]:
    """Finds the scores of a classifier before its final activation.

    These are the inputs of a final `Softmax` or `Activation` layer, or the outputs of a final
    `keras.layers.Dense` before its activation. For any other final layer, its output is taken as
    the scores.

    Args:
        model: functional or sequential classifier.

    Returns:
        A tensor of the model's graph, and a function that maps its value to the scores `[batch,
        classes]`.

    Raises:
        ValueError: when `model` is not such a classifier.
    """
    _check_classifier(model)
    output = model.outputs[0]
    node = producers(model_nodes(model))[id(output)]
    layer = node.operation
    # `keras.layers.Softmax`, and the operation that `keras.ops.softmax` leaves in the graph.
    if isinstance(layer, keras.layers.Activation) or type(layer).__name__ == "Softmax":
        return node.input_tensors[0], _unchanged
    # A subclass may compute anything, and a quantised kernel has additional scales.
    if type(layer) in (keras.layers.Dense, Linear) and layer.quantization_mode is None:
        return node.input_tensors[0], _before_activation(layer)
    return output, _unchanged


def _check_classifier(model) -> None:
    allowed = (
        "`model` must be a functional or built sequential model from one batch of images to "
        "`[batch, classes]`"
    )
    if not has_graph(model):
        name = getattr(model, "name", None) or type(model).__name__
        raise ValueError(f"{allowed}, but {name!r} has no graph of layers.")
    shapes = [[x.shape for x in tensors] for tensors in (model.inputs, model.outputs)]
    if [[len(shape) for shape in group] for group in shapes] != [[4], [2]]:
        raise ValueError(f"{allowed}, but has inputs {shapes[0]} and outputs {shapes[1]}.")


def _before_activation(dense: keras.layers.Dense) -> TensorFunction:
    def scores(x: Tensor) -> Tensor:
        scores = matmul(ops.cast(x, dense.variable_dtype), dense.kernel)
        return scores if dense.bias is None else scores + dense.bias

    return scores


def _unchanged(scores: Tensor) -> Tensor:
    return scores
