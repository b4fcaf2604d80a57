"""Loads a checkpoint of other code, of either of the two kinds."""

from collections.abc import Mapping
from pathlib import Path

import keras

from keras_dla.interop.official_checkpoint import load_official_checkpoint, spelled
from keras_dla.interop.official_names import CONVERSATION, official_entries
from keras_dla.interop.plain_resnet import plain_entries
from keras_dla.interop.pretrained_resnet import load_pretrained_resnet
from keras_dla.interop.tensor_files import read_checkpoint
from keras_dla.models.weights import register_checkpoint_loader


@register_checkpoint_loader
def load_checkpoint(model: keras.Model, source: "str | Path | Mapping") -> None:
    """Loads a checkpoint of the authors' code, or of a plain ResNet that the model starts from.

    A checkpoint with the interaction's tensors is loaded by `load_official_checkpoint`, every
    tensor into its weight; a plain ResNet by `load_pretrained_resnet`.

    Args:
        model: `keras.Model`, a network or backbone of `keras_dla.models`.
        source: path or mapping, as these two functions take it.

    Raises:
        ValueError: when the source cannot be read or does not fit; then nothing is changed.
        ImportError: when the package that reads the file is not installed.

    Example:
    >>> import keras_dla
    >>> from keras_dla.interop.plain_resnet import tensors_of_model
    >>> tensors = tensors_of_model(keras_dla.models.ResNet(11, classes=10))
    >>> keras_dla.interop.load_checkpoint(keras_dla.models.ResNet(11, "dla_l", 10), tensors)
    Loaded 67 tensors of a CIFAR ResNet-11 for 10 classes; the network begins as it. Not in the \
source, initial: stage1_interaction, stage2_interaction, stage3_interaction.
    """
    if str(source).endswith(".keras") or not _has_interaction(model, source):
        load_pretrained_resnet(model, source)
    else:
        load_official_checkpoint(model, source)


def _has_interaction(model: keras.Model, source: "str | Path | Mapping") -> bool:
    """Returns whether the source has tensors that the model's plain ResNet does not have."""
    if not any(CONVERSATION.fullmatch(layer.name) for layer in model.layers):
        return False
    plain = {entry.name for entry in plain_entries(model)}
    try:
        official = {entry.name for entry in official_entries(model)}
    except ValueError:  # not a network that the authors published
        return False
    tensors = read_checkpoint(source, plain | official).tensors
    return any(spelled(name, official) in official - plain for name in tensors)
