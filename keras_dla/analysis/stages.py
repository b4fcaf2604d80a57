"""Runs a model and groups the observations of its layer attentions by stage."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import keras
import numpy as np
from keras import ops

from keras_dla.analysis.checked_images import checked_images
from keras_dla.analysis.map_gradients import without_gradients
from keras_dla.keras_internals.private_names import all_layers
from keras_dla.layers import DynamicLayerAttention
from keras_dla.layers.interaction.layer_attention import LayerAttention
from keras_dla.layers.observation import observe
from keras_dla.utils.types import Tensor
from keras_dla.utils.validation import check_positive_integer

# The observations of one layer of a stage, by name.
LayerReport: TypeAlias = Mapping[str, np.ndarray]
Measured: TypeAlias = dict[str, np.ndarray]


def measure_stages(
    model: keras.Model,
    images: Tensor,
    batch_size: int,
    measure: Callable[[list[LayerReport]], Measured | None],
) -> dict[str, Measured]:
    """Returns the result of `measure` for each stage, by the name of the stage's layer.

    Args:
        model: Keras model or layer that contains layer attention at any level.
        images: array, `[batch, height, width, channels]` or channels first, as `model` takes them.
        batch_size: integer, the number of images per batch.
        measure: function of a list with one dictionary per layer, from the names of the observed
            tensors to arrays, that returns a dictionary of arrays `[batch, ...]`, or `None` to
            leave out the stage.

    Raises:
        ValueError: when an argument is not as described, or the model contains no layer attention.
    """
    check_positive_integer("batch_size", batch_size)
    if not isinstance(model, keras.layers.Layer):
        raise ValueError(f"`model` must be a Keras model, but is {type(model).__name__}.")
    images = checked_images(images)
    _build(model, images)
    batches = [
        _measure_batch(model, images[start : start + batch_size], measure)
        for start in range(0, len(images), batch_size)
    ]
    return {name: _joined([batch[name] for batch in batches]) for name in batches[0]}


def _joined(parts: list[Measured]) -> Measured:
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def _measure_batch(model, images, measure) -> dict[str, Measured]:
    measured = {name: measure(layers) for name, layers in _stages(model, images).items()}
    return {name: arrays for name, arrays in measured.items() if arrays is not None}


def _build(model, images) -> None:
    """Builds the model first, because observations while Keras traces a layer are not arrays."""
    if not all(layer.built for layer in all_layers(model)):
        model(images[:1], training=False)


def _stages(model, images) -> dict[str, list[LayerReport]]:
    """Returns the observations of each layer of every stage, in the order of the calls."""
    with observe() as observations, without_gradients():
        model(images, training=False)
    # Other interactions are observed as well, but only layer attention has scores.
    observations = [seen for seen in observations if isinstance(seen[0], LayerAttention)]
    if not observations:
        raise ValueError(
            "`model` must contain layer attention (MRLABase, MRLALight or "
            f"DynamicLayerAttention), but {model.name!r} called none."
        )
    names = _names_of_inner_layers(model)
    stages: dict[str, dict[int, dict[str, np.ndarray]]] = {}
    latest: dict[int, dict[int, dict[str, np.ndarray]]] = {}
    for layer, index, tensors in observations:
        stage = latest.get(id(layer))
        # The same tensor of the same index again means that a nested model was called twice.
        if stage is None or tensors.keys() & stage.get(index, {}).keys():
            name = names.get(id(layer), layer.name)
            _check_first(name, index)
            stage = latest[id(layer)] = {}
            stages[_free_name(name, stages)] = stage
        stage.setdefault(index, {}).update(_arrays(tensors))
    return {name: [stage[index] for index in sorted(stage)] for name, stage in stages.items()}


def _check_first(name: str, index: int) -> None:
    if index:
        raise ValueError(
            f"`model` must not alternate between two stages with the same layer {name!r}, "
            "because their observations cannot be separated."
        )


def _arrays(tensors: Mapping[str, Any]) -> dict[str, np.ndarray]:
    # Weights are converted to tensors first, because NumPy warns about Keras variables.
    return {
        name: ops.convert_to_numpy(ops.convert_to_tensor(tensor))
        for name, tensor in tensors.items()
    }


def _names_of_inner_layers(model) -> dict[int, str]:
    """Maps the attention inside a dynamic layer to the outer layer, which has the stage's name."""
    return {
        id(layer.attention): layer.name
        for layer in all_layers(model)
        if isinstance(layer, DynamicLayerAttention)
    }


def _free_name(name: str, taken: Iterable[str]) -> str:
    free, number = name, 2
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free
