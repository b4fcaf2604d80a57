"""The authors' PyTorch checkpoints into our networks."""

from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np

from keras_dla.interop.official_names import Entry, official_entries
from keras_dla.interop.tensor_files import read_tensors

# A counter that PyTorch keeps beside BN's statistics and that nothing reads.
IGNORED = "num_batches_tracked"


def load_official_checkpoint(model: keras.Model, path_or_mapping: "str | Path | Mapping") -> None:
    """Loads a checkpoint of the authors' code into a network of ours.

    Every tensor must find its weight and every weight its tensor; otherwise nothing is changed.
    Files are read without executing anything in them.

    Args:
        model: a network built by `keras_dla.models`, in the formulation `"official"` or
            `"verbatim"`: plain ResNet, SE, ECA, DIANet, MRLA or DLA.
        path_or_mapping: path of a `.pth`, `.pth.tar`, `.pt` (these need PyTorch) or
            `.safetensors` file, or a mapping of names to arrays. Names may begin with `module.`,
            and the tensors may lie under `state_dict`.

    Raises:
        ValueError: if the file cannot be read, or its tensors are not those of `model`; the
            message says which are missing, left over or of another shape.
        ImportError: if the package that reads the file is not installed.

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
    tensors = {
        name: tensor
        for name, tensor in read_tensors(path_or_mapping).items()
        if not name.endswith(IGNORED)
    }
    _check_fit(entries, tensors)
    for entry in entries:
        entry.variable.assign(np.ascontiguousarray(entry.kind.to_keras(tensors[entry.name])))


def _check_fit(entries: list[Entry], tensors: dict) -> None:
    expected = {entry.name: entry.torch_shape for entry in entries}
    problems = {
        "missing": [name for name in expected if name not in tensors],
        "left over": [name for name in tensors if name not in expected],
        "of another shape": [
            f"{name} {tensors[name].shape} for {shape}"
            for name, shape in expected.items()
            if name in tensors and tensors[name].shape != shape
        ],
    }
    found = [f"{_some(names)} {what}" for what, names in problems.items() if names]
    if found:
        raise ValueError(
            f"`path_or_mapping` must hold the tensors of the model, but has {'; '.join(found)}."
        )


def _some(names: list[str], limit: int = 3) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
