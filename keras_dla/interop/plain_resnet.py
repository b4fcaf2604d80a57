"""The plain ResNet inside our networks and those of other packages, under torchvision's names."""

import re
from itertools import count

import keras
import numpy as np

from keras_dla.interop.official_names import (
    CONVOLUTION,
    LINEAR,
    PLAIN,
    VECTOR,
    Entry,
    batch_norm_entries,
    block_entries,
    numbers,
    stem_and_classifier,
)

KERAS_HUB_BLOCK = re.compile(r"stack(\d+)_block(\d+)_([0-3])_(conv|bn)")
APPLICATIONS_BLOCK = "conv2_block1_1_conv"


def plain_entries(model: keras.Model) -> list[Entry]:
    """Returns an entry for every weight of the plain ResNet inside a network of ours.

    Raises:
        ValueError: when there is none: the model is of another kind, or an attention replaces a
            convolution.
    """
    layers = {layer.name: layer for layer in model.layers}
    entries = [*stem_and_classifier(layers)]
    for s in numbers(f"stage{n}_block1_conv1" in layers for n in count(1)):
        for b in numbers(f"stage{s}_block{n}_conv1" in layers for n in count(1)):
            name = f"stage{s}_block{b}"
            if f"{name}_conv2" not in layers:
                raise ValueError(
                    f"`model` must contain a plain ResNet, but in {model.name!r} an attention "
                    f"replaces the 3x3 convolution of {name}."
                )
            entries += block_entries(layers, name, PLAIN, {"s": s, "i": s - 1, "b": b - 1})
    if "stem_conv1" not in layers or "stage1_block1_conv1" not in layers:
        raise ValueError(
            f"`model` must be a network or backbone of keras_dla.models, but is {model.name!r}."
        )
    return entries


def tensors_of_model(model: keras.Model) -> dict[str, np.ndarray]:
    """Returns the weights of a plain ResNet, ours or KerasHub's, under torchvision's names.

    Raises:
        ValueError: when the model is of another kind, or computes something else from such weights.
    """
    layers = {layer.name: layer for layer in model.layers}
    if APPLICATIONS_BLOCK in layers:
        raise ValueError(
            f"`source` must be a ResNet with its stride in the 3x3 convolution, as torchvision's, "
            f"timm's and KerasHub's, but {model.name!r} of keras.applications has it in the first "
            "1x1 convolution (ResNet v1) or its BN before the convolutions (v2): with its "
            f"weights our network would compute something else."
        )
    if "backbone" in layers or hasattr(model, "backbone"):
        return tensors_of_model(getattr(model, "backbone", layers.get("backbone")))
    if "stack0_block0_1_conv" in layers:
        return _tensors(_keras_hub_entries(model, layers))
    return _tensors(plain_entries(model))


def _tensors(entries: list[Entry]) -> dict[str, np.ndarray]:
    return {
        entry.name: entry.kind.to_torch(keras.ops.convert_to_numpy(entry.variable))
        for entry in entries
    }


def _keras_hub_entries(model, layers) -> list[Entry]:
    if getattr(model, "use_pre_activation", False) or "conv2_conv" in layers:
        raise ValueError(
            "`source` must be a ResNet with BN after its convolutions and a stem of one 7x7 "
            f"convolution, but {model.name!r} is a ResNetV2 or ResNet-D."
        )
    entries = [Entry("conv1.weight", layers["conv1_conv"].kernel, CONVOLUTION)]
    entries += batch_norm_entries("bn1", layers["conv1_bn"])
    for name, layer in layers.items():
        match = KERAS_HUB_BLOCK.fullmatch(name)
        if match is None:
            continue
        prefix = f"layer{int(match[1]) + 1}.{match[2]}"
        number, kind = match[3], match[4]
        if kind == "conv":
            part = "downsample.0" if number == "0" else f"conv{number}"
            entries.append(Entry(f"{prefix}.{part}.weight", layer.kernel, CONVOLUTION))
        else:
            part = "downsample.1" if number == "0" else f"bn{number}"
            entries += batch_norm_entries(f"{prefix}.{part}", layer)
    head = layers.get("predictions")
    if head is not None:
        entries.append(Entry("fc.weight", head.kernel, LINEAR))
        entries.append(Entry("fc.bias", head.bias, VECTOR))
    return entries
