"""Folds batch normalisation into the convolutions before it, for faster inference."""

from collections import Counter
from typing import Any

import keras
import numpy as np

from keras_dla.keras_internals.graph_nodes import call_node, only_readers
from keras_dla.keras_internals.lean_model import LeanModel
from keras_dla.keras_internals.private_names import all_layers
from keras_dla.layers.base_config import clone_layer
from keras_dla.layers.core.batch_normalization import BatchNormalization
from keras_dla.layers.core.convolution import Conv2D
from keras_dla.models.functional_copy import (
    calls_of,
    copy_of,
    copy_weights,
    is_functional,
    rebuild,
)
from keras_dla.ops.channels import channel_axis

NORMS = (BatchNormalization, keras.layers.BatchNormalization)
# On TensorFlow, Keras 3.15 adds the bias of a channels-first map along the width if its length
# fits; our convolution does not.
IN_ANY_FORMAT = (Conv2D,)
CHANNELS_LAST = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
RELUS = {None: "relu", 6: "relu6"}


def fold_batch_norm(model: keras.Model) -> keras.Model:
    """Returns a copy of a network for inference, with BN inside the convolutions before it.

    In inference, BN is one multiply-add per channel. Where it follows a convolution, the factors go
    into the kernel and the rest becomes the bias; an activation that follows becomes the
    convolution's own. One layer is then called instead of three. The outputs are the same up to
    rounding. Other layers, such as interactions with a BN of their own, are copied with their
    weights.

    Do not train the copy: it has no statistics to update, and what its BN kept apart is one number.
    Train and keep the original.

    What is not exactly a convolution and its BN stays as it is: a convolution whose output is also
    read elsewhere, layers that are called several times, subclasses, BN over another axis or in
    another dtype, a convolution with low-rank adapters, and Keras's own convolutions without bias
    in channels-first order.

    Args:
        model: functional `keras.Model`, such as the networks and backbones of `keras_dla.models`
            or of `keras.applications`, or your own of `Conv2D`, `DepthwiseConv2D` and
            `BatchNormalization`. Models inside it are folded too.

    Returns:
        A functional `keras.Model` with the name, inputs and outputs of `model` (a `LeanModel` if
        it is one), its `pyramid_outputs` and the names of its outputs and of all layers that are
        left.

    Raises:
        ValueError: when the model is not functional, has no BN that can be folded, or calls a BN
            with `training=True`, so that its outputs depend on the batch.

    Reference:
        https://arxiv.org/abs/1712.05877, Section 3.2.

    Example:
    >>> import keras_dla
    >>> model = keras_dla.models.ResNet(11, "dla_l", classes=10)
    >>> folded = keras_dla.models.fold_batch_norm(model)
    >>> len(model.layers), len(folded.layers)
    (42, 22)
    """
    folded = _folded(model)
    if _norms_in(folded) == _norms_in(model):
        raise ValueError(
            "`model` must have a BatchNormalization that directly follows a convolution and alone "
            f"reads its output, but {model.name!r} has none."
        )
    return folded


def _norms_in(model) -> int:
    return sum(isinstance(layer, keras.layers.BatchNormalization) for layer in all_layers(model))


def _folded(model: keras.Model) -> keras.Model:
    nodes = calls_of(model)
    _refuse_training(nodes)
    levels = dict(getattr(model, "pyramid_outputs", {}))
    chains = _chains(nodes, [*model.outputs, *levels.values()])
    inside = {id(node) for chain in chains.values() for node in chain[1:]}
    outputs = set(map(id, model.outputs))
    models: dict[int, keras.Model] = {}
    layers: dict[int, tuple[Any, Any]] = {}

    def call(node, known):
        operation = node.operation
        if id(node) in chains:
            chain = chains[id(node)]
            result = id(chain[-1].outputs[0])
            name = chain[-1 if result in outputs else 0].operation.name
            call_node(node, known, _convolution(chain, name))
            known[result] = known.pop(id(node.outputs[0]))
        elif is_functional(operation):
            if id(operation) not in models:
                models[id(operation)] = _folded(operation)
            call_node(node, known, models[id(operation)])
        elif id(node) not in inside:
            _, copy = layers.setdefault(id(operation), (operation, copy_of(operation)))
            call_node(node, known, copy)

    kind = LeanModel if isinstance(model, LeanModel) else keras.Model
    copy, known = rebuild(model, nodes, call, kind)
    copy_weights(list(layers.values()))
    if levels:
        copy.pyramid_outputs = {level: known[id(tensor)] for level, tensor in levels.items()}
    if hasattr(model, "pyramid_level_inputs"):
        copy.pyramid_level_inputs = dict(model.pyramid_level_inputs)
    return copy


def _refuse_training(nodes) -> None:
    for node in nodes:
        operation = node.operation
        normalizes = isinstance(operation, keras.layers.BatchNormalization)
        if node.arguments.kwargs.get("training") and (normalizes or is_functional(operation)):
            raise ValueError(
                "`model` must call its layers in inference mode to be folded, but calls "
                f"{operation.name!r} with `training=True`."
            )


def _chains(nodes, outputs) -> dict[int, list]:
    """Returns every convolution with its BN and the activation after it, by the first's `id`."""
    readers = only_readers(nodes, outputs)
    times = Counter(id(node.operation) for node in nodes)
    chains = {}
    for node in nodes:
        norm = readers.get(id(node.outputs[0]))
        if norm is None or times[id(node.operation)] > 1 or times[id(norm.operation)] > 1:
            continue
        if not _folds(node.operation, norm.operation) or not _reads_only_a_map(norm):
            continue
        after = readers.get(id(norm.outputs[0]))
        activated = after is not None and _activation(after.operation, norm.operation) is not None
        chains[id(node)] = [node, norm, after] if activated else [node, norm]
    return chains


def _folds(convolution, norm) -> bool:
    """Returns whether the copy of `convolution` can compute what both do."""
    if type(norm) not in NORMS or not _takes_bias(convolution):
        return False
    if convolution.activation not in (None, keras.activations.linear):
        return False
    axes = {channel_axis(convolution.data_format), channel_axis(convolution.data_format) % 4}
    return norm.axis in axes and norm.dtype_policy.name == convolution.dtype_policy.name


def _takes_bias(convolution) -> bool:
    if type(convolution) in IN_ANY_FORMAT:
        return not convolution.lora_enabled
    if type(convolution) not in CHANNELS_LAST or getattr(convolution, "lora_enabled", False):
        return False
    return convolution.use_bias or convolution.data_format == "channels_last"


def _reads_only_a_map(node) -> bool:
    return len(node.input_tensors) == 1 and not node.arguments.kwargs.get("mask")


def _activation(operation, norm) -> Any:
    """Returns the activation that a layer applies, or `None` if it is not one after `norm`."""
    if getattr(operation, "dtype_policy", norm.dtype_policy).name != norm.dtype_policy.name:
        return None
    if type(operation) is keras.layers.Activation:
        return operation.activation
    if type(operation) is not keras.layers.ReLU or operation.negative_slope or operation.threshold:
        return None
    return RELUS.get(operation.max_value)


def _convolution(chain, name: str) -> keras.layers.Layer:
    """Returns the convolution that computes what a chain does, with its weights."""
    convolution, norm = (node.operation for node in chain[:2])
    activation = _activation(chain[2].operation, norm) if len(chain) > 2 else None
    copy = clone_layer(convolution, use_bias=True, activation=activation, name=name)
    copy.build(chain[0].input_tensors[0].shape)
    copy.set_weights(_weights(convolution, norm))
    return copy


def _weights(convolution, norm) -> list[np.ndarray]:
    """Returns kernel and bias with the BN in them, computed in float64."""
    kernel, *bias = (weight.astype("float64") for weight in convolution.get_weights())
    mean, variance = (_numpy(v) for v in (norm.moving_mean, norm.moving_variance))
    scale = (1.0 if norm.gamma is None else _numpy(norm.gamma)) / np.sqrt(variance + norm.epsilon)
    shift = 0.0 if norm.beta is None else _numpy(norm.beta)
    # A depthwise kernel is [height, width, channels, multiplier], and BN has the product of both.
    of_kernel = scale.reshape(kernel.shape[2:]) if _is_depthwise(convolution) else scale
    return [kernel * of_kernel, shift + ((bias[0] if bias else 0.0) - mean) * scale]


def _is_depthwise(convolution) -> bool:
    return isinstance(convolution, keras.layers.DepthwiseConv2D)


def _numpy(variable) -> np.ndarray:
    return keras.ops.convert_to_numpy(variable).astype("float64")
