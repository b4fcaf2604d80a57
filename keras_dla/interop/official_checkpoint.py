"""Loads the authors' PyTorch checkpoints into our networks."""

from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np

from keras_dla.interop.described_tensors import describe, difference
from keras_dla.interop.official_names import CONVERSATION, Entry, official_entries
from keras_dla.interop.tensor_files import read_checkpoint
from keras_dla.layers import MRLABase

# A counter that PyTorch stores with BN's statistics and that nothing reads.
IGNORED = "num_batches_tracked"
# The authors spell the stage's kernel one way in their ImageNet networks, and another elsewhere;
# timm names every attention `se`.
SPELLINGS = {".excite.": ".extict.", ".extict.": ".excite.", ".se.conv.": ".eca.conv."}
# A detector's checkpoint contains its heads as well as the backbone.
BACKBONE = "backbone."


def load_official_checkpoint(
    model: keras.Model, path_or_mapping: "str | Path | Mapping", which: str | None = None
) -> None:
    """Loads a checkpoint of the authors' code into a network of ours.

    Every tensor must match a weight and every weight a tensor; otherwise nothing is changed. Files
    are read without executing anything in them.

    Args:
        model: a network built by `keras_dla.models`, in the formulation `"official"` or
            `"verbatim"`: plain ResNet, SE, ECA, DIANet, MRLA or DLA.
        path_or_mapping: path or mapping, a checkpoint file of PyTorch, safetensors or NumPy
            (recognised by its content, not its name), or a mapping of names to arrays. The tensors
            may be in a container (`state_dict`, `model`, ...), and prefixes such as `module.` are
            removed. From a detector's checkpoint, a backbone loads its own part.
        which: string or `None`, `"raw"` or `"averaged"` weights of a checkpoint that has both;
            defaults to `None`, the raw ones.

    Raises:
        ValueError: when the file cannot be read, or its tensors are not those of `model`; the
            message describes them, and says which are missing, left over or of another shape.
        ImportError: when the package that reads the file is not installed.

    Example:
    >>> import numpy as np
    >>> from keras_dla.interop import load_official_checkpoint
    >>> from keras_dla.interop.official_names import official_entries
    >>> from keras_dla.models import ResNet
    >>> model = ResNet(11, "eca", classes=10)
    >>> tensors = {e.name: np.zeros(e.torch_shape) for e in official_entries(model)}
    >>> load_official_checkpoint(model, {"state_dict": tensors})
    >>> float(abs(model.get_weights()[0]).max())
    0.0
    """
    entries = official_entries(model)
    expected = {entry.name for entry in entries}
    read = read_checkpoint(path_or_mapping, expected, which)
    outside = () if BACKBONE in read.prefix else read.left_aside
    tensors = {
        spelled(name, expected): tensor
        for name, tensor in read.tensors.items()
        if not name.endswith(IGNORED)
    }
    _check_fit(model, entries, tensors, [n for n in outside if not n.endswith(IGNORED)])
    check_settings(model)
    for entry in entries:
        entry.variable.assign(np.ascontiguousarray(entry.kind.to_keras(tensors[entry.name])))


def spelled(name: str, expected: set[str]) -> str:
    """Returns a tensor's name as a network has it, or as it is where it has none like it."""
    for one, other in SPELLINGS.items():
        if name not in expected and name.replace(one, other) in expected:
            return name.replace(one, other)
    return name


def _check_fit(model: keras.Model, entries: list[Entry], tensors: dict, outside: list[str]) -> None:
    expected = {entry.name: entry.torch_shape for entry in entries}
    problems = {
        "missing": [name for name in expected if name not in tensors],
        "left over": [*(name for name in tensors if name not in expected), *outside],
        "of another shape": [
            f"{name} {tensors[name].shape} for {shape}"
            for name, shape in expected.items()
            if name in tensors and tensors[name].shape != shape
        ],
    }
    found = [f"{_some(names)} {what}" for what, names in problems.items() if names]
    if found:
        raise ValueError(
            f"`path_or_mapping` must hold the tensors of {model.name!r}, but is "
            f"{describe(tensors)}{_advice(model, tensors)}: it has {'; '.join(found)}."
        )


def _advice(model: keras.Model, tensors: dict) -> str:
    """Returns what can be done instead, if the tensors show it."""
    other = difference(tensors)
    if other:
        return f", and {other}"
    plain = all(name.startswith(("conv1", "bn1", "layer", "fc")) for name in tensors) and not any(
        part in name for name in tensors for part in (".mrla", "lstm", ".se.", ".eca.", "attention")
    )
    talks = any(CONVERSATION.fullmatch(layer.name) for layer in model.layers)
    if plain and talks:
        return " without the interaction (load_pretrained_resnet starts from such a file)"
    reduced = [name for name in tensors if ".w_ih.0.seq.0." in name and tensors[name].ndim == 2]
    if reduced:
        rows, channels = tensors[reduced[0]].shape
        return f" with reduction={channels // max(rows, 1)}"
    return ""


def check_settings(model: keras.Model) -> None:
    """Raises `ValueError` for a network that would be mistaken for MRLA's own ImageNet network.

    That network has the same names as ours and computes something else.

    Args:
        model: a network of `keras_dla.models`.
    """
    if "stem_pool" not in {layer.name for layer in model.layers}:
        return
    for layer in model.layers:
        if type(layer) is MRLABase and (layer.head_size != 16 or layer.rectify):
            raise ValueError(
                "`model` must have heads of 16 channels and no ReLU after its attention, as "
                "MRLA's own ImageNet networks, which have the same names in a checkpoint, but "
                f"{model.name!r} has heads of {layer.head_size}"
                f"{' and the ReLU' if layer.rectify else ''}: build it with "
                f"keras_dla.layers.MRLABase(1, head_size=16, rectify=False), or keep its weights "
                f"in a .weights.h5 file."
            )


def _some(names: list[str], limit: int = 3) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
