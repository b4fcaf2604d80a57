"""Reads files of tensors that come from outside, without running anything that is in them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np


def read_tensors(path_or_mapping: "str | Path | Mapping") -> dict[str, np.ndarray]:
    """Returns the tensors of a PyTorch or safetensors file, or of a mapping, by name.

    A `state_dict` inside is found, and the `module.` that data-parallel training puts before every
    name is taken off.

    Args:
        path_or_mapping: path of a `.pth`, `.pth.tar`, `.pt` or `.safetensors` file, or a mapping of
            names to arrays.

    Returns:
        A dictionary of NumPy arrays.

    Raises:
        ValueError: if the file is missing, damaged, of another kind, or holds something other than
            tensors.
        ImportError: if the package that reads the file is not installed.
    """
    if isinstance(path_or_mapping, Mapping):
        content, source = path_or_mapping, "the mapping"
    else:
        content, source = _read_file(Path(path_or_mapping)), str(path_or_mapping)
    content = content.get("state_dict", content)
    if not isinstance(content, Mapping) or not content:
        raise ValueError(f"`path_or_mapping` must hold tensors by name, but {source} holds none.")
    return {_plain_name(name): _as_array(name, value, source) for name, value in content.items()}


def _read_file(path):
    if not path.is_file():
        raise ValueError(f"`path_or_mapping` must be an existing file, but there is no {path}.")
    if path.name.endswith(".safetensors"):
        return _read_safetensors(path)
    if path.name.endswith((".pth", ".pth.tar", ".pt")):
        return _read_torch(path)
    raise ValueError(
        f"`path_or_mapping` must be a .pth, .pth.tar, .pt or .safetensors file, but is {path}."
    )


def _read_safetensors(path):
    try:
        import safetensors
        from safetensors.numpy import load_file
    except ImportError as error:
        raise ImportError(f"Reading {path} needs safetensors: pip install safetensors") from error
    try:
        return load_file(path)
    except (safetensors.SafetensorError, ValueError, OSError) as error:
        raise _damaged(path) from error


def _read_torch(path):
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            f"Reading {path} needs PyTorch: pip install 'keras-dla[torch]'"
        ) from error
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    # A damaged or hostile file fails in many ways inside PyTorch's reader; each means the same.
    except Exception as error:
        raise _damaged(path) from error
    if not isinstance(content, Mapping):
        raise _damaged(path)
    return content


def _damaged(path):
    return ValueError(
        f"`path_or_mapping` must be a file of tensors, but {path} is damaged or holds more."
    )


def _plain_name(name):
    return str(name).removeprefix("module.")


def _as_array(name, value, source):
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        # NumPy has no bfloat16; every value of it is a float32.
        value = value.float().numpy() if value.is_floating_point() else value.numpy()
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise ValueError(
            f"`path_or_mapping` must hold numeric tensors, but {name!r} of {source} has dtype "
            f"{array.dtype}."
        )
    return array
