"""Maps the tensors of the authors' checkpoints to our weights."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count

import keras
import numpy as np

from keras_dla.layers import (
    DIAUnit,
    DynamicLayerAttention,
    DynamicSharingUnit,
    EfficientChannelAttention,
    LayerwiseInformationIntegration,
    MRLABase,
    MRLALight,
    SqueezeExcitation,
)


@dataclass(frozen=True)
class Kind:
    """A kind of tensor: the order of its axes in PyTorch and in Keras."""

    to_keras: Callable[[np.ndarray], np.ndarray]
    to_torch: Callable[[np.ndarray], np.ndarray]


CONVOLUTION = Kind(lambda a: a.transpose(2, 3, 1, 0), lambda a: a.transpose(3, 2, 0, 1))
DEPTHWISE = Kind(lambda a: a[:, 0].transpose(1, 2, 0), lambda a: a.transpose(2, 0, 1)[:, None])
LINEAR = Kind(np.transpose, np.transpose)
ALONG_CHANNELS = Kind(lambda a: a[0, 0], lambda a: a[None, None])
VECTOR = Kind(lambda a: a, lambda a: a)
CHANNEL_VECTOR = Kind(lambda a: a[:, 0, 0], lambda a: a[:, None, None])


@dataclass(frozen=True)
class Entry:
    """One tensor: its name in the authors' checkpoint, our variable, and its kind."""

    name: str
    variable: keras.Variable
    kind: Kind

    @property
    def torch_shape(self) -> tuple[int, ...]:
        """The shape that the tensor has in the checkpoint."""
        return self.kind.to_torch(np.empty(self.variable.shape, "bool")).shape


@dataclass(frozen=True)
class Layout:
    """How the authors name the parts of one network; `{s}` counts stages from 1, `{i}` from 0."""

    block: str
    attention: str = ""
    projections: str = ""
    decay: str = ""
    norm: str = ""
    unit: str = ""
    excite: str = ""


PLAIN = Layout(block="layer{s}.{b}")
LAYOUTS = {
    "plain": PLAIN,
    SqueezeExcitation: Layout(block="layer{s}.{b}", attention="layer{s}.{b}.se.fc"),
    EfficientChannelAttention: Layout(block="layer{s}.{b}", attention="layer{s}.{b}.eca.conv"),
    LayerwiseInformationIntegration: Layout(block="layer{s}.ModuleList.{b}", unit="layer{s}.lstm"),
    MRLABase: Layout(
        block="stages.{i}.{b}",
        projections="stages.{i}.{b}.mrla.mrla",
        norm="stages.{i}.{b}.bn_mrla",
    ),
    MRLALight: Layout(
        block="layer{s}.{b}",
        projections="layer{s}.{b}.mrla.mrla",
        decay="layer{s}.{b}.mrla.lambda_t",
        norm="layer{s}.{b}.bn_mrla",
    ),
    DynamicLayerAttention: Layout(
        block="stages.{i}.layers.{b}",
        projections="stages.{i}.attention.{b}.layer_attention.layer_attention",
        decay="stages.{i}.attention.{b}.layer_attention.lambda_t",
        norm="stages.{i}.attention.{b}.bn_layer_attention",
        unit="stages.{i}.lstm",
        excite="stages.{i}.excite",
    ),
}
IMAGENET_DLA = Layout(
    block="layer{s}.layers.{b}",
    projections="layer{s}.attention.{b}.layer_attention.mrla",
    decay="layer{s}.attention.{b}.layer_attention.lambda_t",
    norm="layer{s}.attention.{b}.bn_layer_attention",
    unit="layer{s}.lstm",
    excite="layer{s}.extict",
)


# The names that the builder gives to the interaction layers of a stage.
CONVERSATION = re.compile(r"stage\d+_(interaction|block\d+_attention)")


def official_entries(model: keras.Model) -> list[Entry]:
    """Returns an entry for every weight of a network built by `keras_dla.models`.

    Raises:
        ValueError: if the authors published no network like `model`, or it has further weights.
    """
    layout = _layout(model)
    layers = {layer.name: layer for layer in model.layers}
    try:
        entries = _entries(layers, layout)
    except (KeyError, AttributeError) as error:  # a network of one's own with names of ours
        raise ValueError(
            f"`model` must have the layers of the authors' network, but {model.name!r} lacks "
            f"{error}."
        ) from error
    _check_complete(model, entries)
    return entries


def _entries(layers, layout):
    entries = [*stem_and_classifier(layers)]
    for s in numbers(f"stage{n}_block1_conv1" in layers for n in count(1)):
        stage = f"stage{s}"
        for b in numbers(f"{stage}_block{n}_conv1" in layers for n in count(1)):
            places = {"s": s, "i": s - 1, "b": b - 1}
            entries += block_entries(layers, f"{stage}_block{b}", layout, places)
            entries += _attention_of_block(layers, f"{stage}_block{b}", layout, places)
        interaction = layers.get(f"{stage}_interaction")
        if interaction is not None:
            entries += _interaction(interaction, layout, s)
    return entries


def _check_complete(model, entries):
    named = {id(entry.variable) for entry in entries}
    for weight in model.weights:
        # The state of a random generator is not a weight.
        if id(weight) not in named and "seed_generator" not in weight.path:
            raise ValueError(
                "`model` must have only the weights of the authors' network, but also has "
                f"{weight.path!r}."
            )


def numbers(present: Iterable[bool]) -> Iterator[int]:
    """Yields 1, 2, ... as long as `present` returns true."""
    for number, there in enumerate(present, start=1):
        if not there:
            return
        yield number


def _layout(model):
    layers = {layer.name: layer for layer in model.layers}
    kinds = {type(layer) for name, layer in layers.items() if CONVERSATION.fullmatch(name)}
    kind = kinds.pop() if kinds else "plain"
    if kinds or kind not in LAYOUTS or "stage1_block1_conv1" not in layers:
        raise ValueError(
            f"`model` must be one of the networks the authors published (plain, SE, ECA, DIANet, "
            f"MRLA or DLA ResNet built by keras_dla.models), but is {model.name!r}."
        )
    if kind is DynamicLayerAttention and "stem_pool" in layers:
        return IMAGENET_DLA
    return LAYOUTS[kind]


def stem_and_classifier(layers: Mapping[str, keras.layers.Layer]) -> Iterator[Entry]:
    """Yields the entries of the layers before and after the stages."""
    if "stem_conv1" in layers:
        yield Entry("conv1.weight", layers["stem_conv1"].kernel, CONVOLUTION)
        yield from batch_norm_entries("bn1", layers["stem_bn1"])
    if "classifier" in layers:
        yield Entry("fc.weight", layers["classifier"].kernel, LINEAR)
        yield Entry("fc.bias", layers["classifier"].bias, VECTOR)


def block_entries(
    layers: Mapping[str, keras.layers.Layer], name: str, layout: Layout, places: dict[str, int]
) -> Iterator[Entry]:
    """Yields the entries of a block's convolutions and BNs."""
    prefix = layout.block.format(**places)
    for number in (1, 2, 3):
        kernel = layers[f"{name}_conv{number}"].kernel
        yield Entry(f"{prefix}.conv{number}.weight", kernel, CONVOLUTION)
        yield from batch_norm_entries(f"{prefix}.bn{number}", layers[f"{name}_bn{number}"])
    if f"{name}_downsample_conv" in layers:
        kernel = layers[f"{name}_downsample_conv"].kernel
        yield Entry(f"{prefix}.downsample.0.weight", kernel, CONVOLUTION)
        yield from batch_norm_entries(f"{prefix}.downsample.1", layers[f"{name}_downsample_bn"])


def _attention_of_block(layers, name, layout, places):
    attention = layers.get(f"{name}_attention")
    if isinstance(attention, SqueezeExcitation):
        prefix = layout.attention.format(**places)
        yield Entry(f"{prefix}.0.weight", attention.reduce_kernel, LINEAR)
        yield Entry(f"{prefix}.2.weight", attention.expand_kernel, LINEAR)
    elif isinstance(attention, EfficientChannelAttention):
        prefix = layout.attention.format(**places)
        yield Entry(f"{prefix}.weight", attention.kernel, ALONG_CHANNELS)


def batch_norm_entries(prefix: str, layer: keras.layers.Layer) -> Iterator[Entry]:
    """Yields the entries of a BN."""
    yield Entry(f"{prefix}.weight", layer.gamma, VECTOR)
    yield Entry(f"{prefix}.bias", layer.beta, VECTOR)
    yield Entry(f"{prefix}.running_mean", layer.moving_mean, VECTOR)
    yield Entry(f"{prefix}.running_var", layer.moving_variance, VECTOR)


def _interaction(interaction, layout, s):
    unit = getattr(interaction, "unit", None)
    if unit is not None:
        yield from _unit(unit, layout.unit.format(s=s, i=s - 1))
    attention = getattr(interaction, "attention", interaction)
    if isinstance(attention, (MRLABase, MRLALight)):
        yield from _attention(attention, layout, s)


def _attention(attention, layout, s):
    for b in range(attention.depth):
        places = {"s": s, "i": s - 1, "b": b}
        prefix = layout.projections.format(**places)
        yield Entry(f"{prefix}.Wq.weight", attention.queries[b].kernel, ALONG_CHANNELS)
        yield Entry(f"{prefix}.Wk.weight", attention.keys[b].kernel, ALONG_CHANNELS)
        yield Entry(f"{prefix}.Wv.weight", attention.values[b].kernel, DEPTHWISE)
        yield from batch_norm_entries(layout.norm.format(**places), attention.norms[b])
        if isinstance(attention, MRLALight):
            name = layout.decay.format(**places)
            yield Entry(name, attention.decays[b], CHANNEL_VECTOR)
    excite = getattr(attention, "excite", None)
    if excite is not None:
        yield Entry(f"{layout.excite.format(s=s, i=s - 1)}.weight", excite.kernel, DEPTHWISE)


def _unit(unit, prefix):
    is_official_dsu = isinstance(unit, DynamicSharingUnit) and unit.formulation != "paper"
    if not (is_official_dsu or isinstance(unit, DIAUnit)):
        raise ValueError(
            f"`model` must have the authors' DSU (formulation 'official' or 'verbatim') or the DIA "
            f"unit, but has {type(unit).__name__} in formulation "
            f"{getattr(unit, 'formulation', 'official')!r}."
        )
    for name, gates in (("w_ih", unit.input_gates), ("w_hh", unit.hidden_gates)):
        yield Entry(f"{prefix}.{name}.0.seq.0.weight", gates.reduce_kernel, LINEAR)
        yield Entry(f"{prefix}.{name}.0.seq.0.bias", gates.reduce_bias, VECTOR)
        yield Entry(f"{prefix}.{name}.0.seq.2.weight", gates.expand_kernel, LINEAR)
        yield Entry(f"{prefix}.{name}.0.seq.2.bias", gates.expand_bias, VECTOR)
