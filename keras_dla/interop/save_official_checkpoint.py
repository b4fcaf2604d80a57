"""Saves our networks as checkpoints of the authors' PyTorch code."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from keras_dla.interop.official_checkpoint import check_settings
from keras_dla.interop.official_names import Entry, official_entries
from keras_dla.utils.files import replacing


def save_official_checkpoint(model: keras.Model, path: "str | Path") -> None:
    """Writes the weights of a network of ours under the names of the authors' PyTorch code.

    There, `network.load_state_dict(torch.load(path), strict=True)` loads the file, and
    `load_official_checkpoint` reads it back exactly. The authors' code computes the same as ours in
    the formulation `"verbatim"`, whichever formulation `model` has; their reductions are 4 (CIFAR)
    and 16 (ImageNet) for DLA, 4 and 20 for DIANet, 16 for SE.

    Args:
        model: a network built by `keras_dla.models`, in the formulation `"official"` or
            `"verbatim"`: plain ResNet, SE, ECA, DIANet, MRLA or DLA.
        path: a file to write: `.pth`, `.pth.tar` or `.pt` (these need PyTorch, on any backend), or
            `.safetensors`. An existing file is replaced, completely or not at all.

    Raises:
        ValueError: if the authors published no network like `model`, or one with its names that
            computes something else (MRLA-B for ImageNet), or `path` has another ending or is in a
            folder that does not exist.
        ImportError: if the package that writes the file is not installed.

    Example:
    >>> import tempfile
    >>> from pathlib import Path
    >>> from keras_dla.interop import load_official_checkpoint, save_official_checkpoint
    >>> from keras_dla.models import ResNet
    >>> model = ResNet(11, "eca", classes=10)
    >>> before = model.get_weights()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_official_checkpoint(model, Path(folder, "weights.safetensors"))
    ...     load_official_checkpoint(model, Path(folder, "weights.safetensors"))
    >>> all((a == b).all() for a, b in zip(model.get_weights(), before))
    True
    """
    path = Path(path)
    write = _writer(path)
    check_settings(model)
    tensors = _state_dict(official_entries(model))
    with replacing(path) as partial:
        write(tensors, partial)


def _writer(path: Path) -> Callable[[dict, Path], None]:
    if not path.parent.is_dir():
        raise ValueError(f"`path` must be in an existing folder, but is {str(path)!r}.")
    if path.name.endswith(".safetensors"):
        return _safetensors_writer(path)
    if path.name.endswith((".pth", ".pth.tar", ".pt")):
        return _torch_writer(path)
    raise ValueError(
        f"`path` must end in .pth, .pth.tar, .pt or .safetensors, but is {str(path)!r}."
    )


def _safetensors_writer(path):
    try:
        from safetensors.numpy import save
    except ImportError as error:
        raise ImportError(f"Writing {path} needs safetensors: pip install safetensors") from error
    return lambda tensors, partial: partial.write_bytes(save(tensors))


def _torch_writer(path):
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            f"Writing {path} needs PyTorch: pip install 'keras-dla[torch]'"
        ) from error

    def write(tensors, partial):
        # Through a Python file, whose errors say that a folder is read-only or a disk is full.
        with partial.open("wb") as file:
            torch.save({name: torch.from_numpy(array) for name, array in tensors.items()}, file)

    return write


def _state_dict(entries: list[Entry]) -> dict[str, np.ndarray]:
    tensors = {}
    for entry in entries:
        tensors[entry.name] = _torch_array(entry)
        if entry.name.endswith(".running_var"):
            # PyTorch counts batches here for a kind of momentum that the authors do not use.
            counter = entry.name.replace("running_var", "num_batches_tracked")
            tensors[counter] = np.zeros((), "int64")
    return tensors


def _torch_array(entry):
    array = entry.kind.to_torch(keras.ops.convert_to_numpy(entry.variable))
    # Neither format knows NumPy's bfloat16; every bfloat16 value is also a float32.
    return np.array(array, np.promote_types(array.dtype, "float32"), order="C")
