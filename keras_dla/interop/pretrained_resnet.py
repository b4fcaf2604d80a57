"""Loads a trained plain ResNet into any network of the comparison, which then starts from it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from keras_dla.interop.described_tensors import describe, difference
from keras_dla.interop.official_names import CONVERSATION, Entry
from keras_dla.interop.plain_resnet import plain_entries, tensors_of_model
from keras_dla.interop.tensor_files import Checkpoint, read_checkpoint
from keras_dla.keras_internals.private_names import all_layers
from keras_dla.layers.interaction.layer_interaction import LayerInteraction
from keras_dla.layers.interaction.recurrent_layer_aggregation import RecurrentLayerAggregation
from keras_dla.layers.neutral_start import start_neutral
from keras_dla.models.loading import load_model
from keras_dla.utils.validation import check_choice

IGNORED = "num_batches_tracked"
HEAD = ("fc.weight", "fc.bias")
STARTS = ("resnet", "initial")
# timm's networks that blur where the stride is: their tensors are a plain ResNet's.
BLURRED = re.compile(r"resnet(aa|blur)\d", re.IGNORECASE)


@dataclass(frozen=True)
class Loaded:
    """The result of `load_pretrained_resnet`.

    Attributes:
        source: string, a description of the source, such as `"a ResNet-50 for 1000 classes"`.
        loaded: integer, the number of tensors that were loaded.
        initial: tuple of strings, names of layers that keep their initial values: the interactions,
            and a head with another number of classes.
        left_aside: tuple of strings, names of the source's tensors that were not used.
        start: string, `"resnet"` or `"initial"`.
        note: string, which weights were read if the source has several.

    Example:
    >>> from keras_dla.interop import Loaded
    >>> print(Loaded("a ResNet-50 for 1000 classes", 267, (), (), "resnet"))
    Loaded 267 tensors of a ResNet-50 for 1000 classes; the network begins as it.
    """

    source: str
    loaded: int
    initial: tuple[str, ...]
    left_aside: tuple[str, ...]
    start: str
    note: str = ""

    def __str__(self) -> str:
        begins = "begins as it" if self.start == "resnet" else "keeps the interaction's own start"
        told = f"Loaded {self.loaded} tensors of {self.source}; the network {begins}."
        if self.initial:
            told += f" Not in the source, initial: {_some(self.initial)}."
        if self.left_aside:
            told += f" Left aside: {_some(self.left_aside)}."
        return f"{told} {self.note}".rstrip()


def load_pretrained_resnet(
    model: keras.Model,
    source: "str | Path | Mapping | keras.Model",
    start: str = "resnet",
    which: str | None = None,
    verbose: bool = True,
) -> Loaded:
    """Loads a trained plain ResNet into a network with interacting blocks.

    With `start="resnet"`, the interaction has a neutral start (see
    `keras_dla.layers.neutral_start.start_neutral`), so that the network starts as the pretrained
    ResNet: its outputs are those of the source, and training continues from there.

    Every weight of the plain ResNet must find its tensor, or nothing is changed. The classifier is
    the exception: if the source has another number of classes or none, it keeps its initial values.

    Args:
        model: `keras.Model`, a network of `keras_dla.models`, or a backbone (`include_top=False`).
        source: path, mapping or model: a checkpoint with torchvision's or timm's names, in any
            container and under any prefix that `read_checkpoint` knows; a `.keras` file or a model
            of a plain ResNet of this package; or a ResNet of KerasHub. Files are read without
            executing anything in them.
        start: string, `"resnet"`, or `"initial"` for the interaction's own initial values; defaults
            to `"resnet"`.
        which: string or `None`, `"raw"` or `"averaged"` weights of a checkpoint that has both;
            defaults to `None`, the raw ones.
        verbose: boolean, whether to print what was loaded; defaults to `True`.

    Returns:
        A `Loaded`, which says what was loaded and what kept its initial values.

    Raises:
        ValueError: when the source cannot be read, is another network (the message then describes
            it), or the interaction has no neutral start.
        ImportError: when the package that reads the file is not installed.

    Example:
    >>> import keras_dla
    >>> plain = keras_dla.models.ResNet(11, classes=10)
    >>> model = keras_dla.models.ResNet(11, "dla_l", classes=3)
    >>> print(keras_dla.interop.load_pretrained_resnet(model, plain, verbose=False))
    Loaded 65 tensors of a CIFAR ResNet-11 for 10 classes; the network begins as it. Not in the \
source, initial: stage1_interaction, stage2_interaction, stage3_interaction and 1 more. Left \
aside: fc.weight, fc.bias.
    """
    check_choice("start", start, STARTS)
    entries = plain_entries(model)
    read = _read(source, [entry.name for entry in entries], which)
    tensors = {name: t for name, t in read.tensors.items() if not name.endswith(IGNORED)}
    pads = any(isinstance(layer, RecurrentLayerAggregation) for layer in model.layers)
    kept = _head_that_stays(entries, tensors, pads)
    wanted = [entry for entry in entries if entry.name not in kept]
    arrays = _fitting(wanted, tensors, pads, model)
    if start == "resnet":
        _check_neutral(model)
    for entry, array in zip(wanted, arrays, strict=True):
        entry.variable.assign(array)
    if start == "resnet":
        _start_as_resnet(model)
    names = {entry.name for entry in wanted}
    done = Loaded(
        describe(tensors),
        len(wanted),
        (*_interactions(model), *(["classifier"] if kept else [])),
        (*(name for name in tensors if name not in names), *read.left_aside),
        start,
        read.told(),
    )
    if verbose:
        print(done)
    return done


def _read(source, expected, which) -> Checkpoint:
    if isinstance(source, (str, Path)) and BLURRED.search(str(source)):
        raise ValueError(
            f"`source` must hold a plain ResNet, but {source} is by its name an anti-aliased one, "
            f"which blurs its maps where ours has a stride; its tensors alone do not tell."
        )
    if isinstance(source, (str, Path)) and str(source).endswith(".keras"):
        source = load_model(source, compile=False)
    if isinstance(source, keras.Model):
        return Checkpoint(tensors_of_model(source))
    return read_checkpoint(source, expected, which)


def _head_that_stays(entries: list[Entry], tensors: dict, pads: bool) -> tuple[str, ...]:
    """Returns the classifier's names if the source has no classifier for as many classes."""
    head = [entry for entry in entries if entry.name in HEAD]
    fit = all(e.name in tensors and _padded(e, tensors[e.name], pads) is not None for e in head)
    return () if fit else tuple(entry.name for entry in head)


def _fitting(entries: list[Entry], tensors: dict, pads: bool, model) -> list[np.ndarray]:
    """Returns the arrays in Keras's order of axes; raises `ValueError` if one does not fit."""
    missing = [entry.name for entry in entries if entry.name not in tensors]
    names = {entry.name for entry in entries}
    more = [name for name in tensors if name.startswith("layer") and name not in names]
    why = difference(tensors)
    if missing or more or why:
        lacks = f"it has no {_some(missing)}" if missing else f"it has {_some(more)} besides"
        raise ValueError(
            f"`source` must contain the plain ResNet inside {model.name!r}, but is "
            f"{describe(tensors)}: {why or lacks}."
        )
    arrays = []
    for entry in entries:
        array = _padded(entry, tensors[entry.name], pads)
        if array is None:
            raise ValueError(
                f"`source` must contain the plain ResNet inside {model.name!r}, but is "
                f"{describe(tensors)}: {entry.name} has shape {tensors[entry.name].shape} "
                f"instead of {entry.torch_shape}."
            )
        arrays.append(array)
    return arrays


def _padded(entry: Entry, tensor: np.ndarray, pads: bool) -> np.ndarray | None:
    """Returns a tensor in the shape of its variable, or `None` if it does not fit.

    RLA's first convolutions and its classifier read a hidden map after the plain network's
    channels; their weights for it start with zeros.
    """
    if tensor.ndim != len(entry.torch_shape):
        return None
    array, shape = entry.kind.to_keras(tensor), tuple(entry.variable.shape)
    if pads and array.ndim > 1 and shape[-2] - array.shape[-2] > 0:
        more = [(0, 0)] * array.ndim
        more[-2] = (0, shape[-2] - array.shape[-2])
        array = np.pad(array, more)
    return np.ascontiguousarray(array) if array.shape == shape else None


def _interactions(model: keras.Model) -> list[str]:
    return [layer.name for layer in model.layers if CONVERSATION.fullmatch(layer.name)]


def _check_neutral(model: keras.Model) -> None:
    """Raises `ValueError`, before anything is changed, if an interaction has no neutral start."""
    for name in _interactions(model):
        layer = model.get_layer(name)
        inside = all_layers(layer)
        before = [(v, keras.ops.convert_to_numpy(v)) for part in inside for v in part.variables]
        try:
            start_neutral(layer)
        finally:
            for variable, value in before:
                variable.assign(value)


def _start_as_resnet(model: keras.Model) -> None:
    """Makes every interaction neutral; the BN before it compensates the scaling of a branch."""
    for name in _interactions(model):
        layer = model.get_layer(name)
        factor = start_neutral(layer)
        for block in _blocks(layer) if factor != 1 else ():
            norm = model.get_layer(f"{block}_bn3")
            norm.gamma.assign(norm.gamma / factor)
            norm.beta.assign(norm.beta / factor)


def _blocks(layer: keras.layers.Layer) -> list[str]:
    """Returns the names of the blocks whose branch a layer scales."""
    if not isinstance(layer, LayerInteraction):
        return [layer.name.removesuffix("_attention")]
    stage = layer.name.removesuffix("_interaction")
    return [f"{stage}_block{number + 1}" for number in range(layer.depth)]


def _some(names, limit: int = 3) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
