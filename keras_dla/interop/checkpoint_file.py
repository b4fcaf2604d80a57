"""Reads untrusted checkpoint files without running anything that they contain.

The kind of a file is told by its first bytes, not by its name.
"""

import argparse
import collections
import datetime
import json
import pathlib
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}
INTEGERS = {"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1"}
UNSIGNED = {"U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?"}
SAFETENSORS_DTYPES = {**FLOATS, **INTEGERS, **UNSIGNED}
ARCHIVES = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!")
LARGEST_HEADER = 100_000_000  # bytes, as in the safetensors format
REFUSED_CLASS = re.compile(r"GLOBAL ([\w.]+)|Unsupported (?:class|global) ([\w.]+)")


def read_file(path: Path) -> Any:
    """Returns the contents of a checkpoint file: nested mappings of tensors and plain values.

    Args:
        path: `pathlib.Path` of a PyTorch, safetensors or NumPy (`.npz`) file, or of the index of a
            safetensors checkpoint in several files (`.safetensors.index.json`).

    Returns:
        The result of PyTorch's reader, or a dictionary of NumPy arrays.

    Raises:
        ValueError: when the file is missing, unreadable, incomplete, of another kind, or contains
            something that could run code when it is read.
        ImportError: when the package that reads the file is not installed.
    """
    start = _first_bytes(path)
    if _is_safetensors(start):
        return _read_safetensors(path)
    if start.startswith(b"PK\x03\x04"):
        return _read_zip(path)
    if start[:1] == b"\x80":
        return _read_torch(path)
    if start.lstrip()[:1] == b"{":
        return _read_index(path)
    raise refused(path, _what_else(start))


def refused(path: Path, what: str) -> ValueError:
    """Returns the error for a file that does not contain named tensors."""
    return ValueError(f"`path_or_mapping` must be a file of tensors, but {path} {what}.")


def _first_bytes(path: Path) -> bytes:
    if not path.is_file():
        raise ValueError(f"`path_or_mapping` must be an existing file, but there is no {path}.")
    try:
        with path.open("rb") as file:
            return file.read(512)
    except PermissionError as error:
        raise refused(path, "cannot be read with your permissions") from error


def _what_else(start: bytes) -> str:
    text = start.lstrip().lower()
    if not start:
        return "is empty"
    if start.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer instead of the file itself, which `git lfs pull` fetches"
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
        return "is a web page instead of the file that was to be downloaded"
    if start.startswith(b"\x89HDF"):
        return "is an HDF5 file, as Keras writes it: `model.load_weights` reads it"
    if start.startswith(b"\x93NUMPY"):
        return "is a single NumPy array without a name"
    if start.startswith(ARCHIVES) or start[257:262] == b"ustar":
        return "is an archive: unpack it first"
    return "is of an unknown kind or damaged"


def _is_safetensors(start: bytes) -> bool:
    length = int.from_bytes(start[:8], "little")
    return 2 <= length <= LARGEST_HEADER and start[8:9] == b"{"


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    try:
        import safetensors
    except ImportError as error:
        raise ImportError(f"Reading {path} needs safetensors: pip install safetensors") from error
    content = path.read_bytes()
    try:
        entries = safetensors.deserialize(content)
    except (safetensors.SafetensorError, ValueError) as error:
        raise refused(path, _safetensors_damage(content)) from error
    return {name: _from_safetensors(path, name, entry) for name, entry in entries}


def _safetensors_damage(content: bytes) -> str:
    length = int.from_bytes(content[:8], "little")
    try:
        header = json.loads(content[8 : 8 + length])
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name[:2] != "__"]
        whole = 8 + length + max(ends, default=0)
    except (ValueError, RecursionError, TypeError, AttributeError, LookupError):
        return "is damaged, or cut off inside its header"
    if len(content) < whole:
        return f"is cut off: {len(content):,} bytes of {whole:,}"
    return "is damaged"


def _from_safetensors(path: Path, name: str, entry: Mapping[str, Any]) -> np.ndarray:
    kind, data = entry["dtype"], entry["data"]
    if kind == "BF16":  # bfloat16 is the upper half of a float32
        array = (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
    elif kind in SAFETENSORS_DTYPES:
        array = np.frombuffer(data, SAFETENSORS_DTYPES[kind])
    else:
        raise refused(
            path,
            f"has the tensor {name!r} in {kind}, a quantised type that means nothing without its "
            f"scales; save it as float32 or bfloat16",
        )
    return array.reshape(entry["shape"])


def _read_index(path: Path) -> dict[str, np.ndarray]:
    """Reads the parts that an index names, which must be in its folder."""
    try:
        files = set(json.loads(path.read_text("utf-8"))["weight_map"].values())
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        raise refused(path, "is JSON, but not an index of safetensors (`weight_map`)") from error
    tensors: dict[str, np.ndarray] = {}
    for name in sorted(map(str, files)):
        part = path.parent / name
        # An untrusted index must not lead out of its folder.
        if Path(name).name != name or not part.is_file():
            raise refused(path, f"names the part {name!r}, which is not in its folder")
        if not _is_safetensors(_first_bytes(part)):
            raise refused(part, _what_else(_first_bytes(part)))
        tensors.update(_read_safetensors(part))
    return tensors


def _read_zip(path: Path) -> Any:
    if not zipfile.is_zipfile(path):
        raise refused(path, "is cut off: the end of the archive is missing")
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise refused(path, "is a damaged archive") from error
    if "model.weights.h5" in names and "config.json" in names:
        raise refused(path, "is a whole Keras model: `keras_dla.load_model` loads it")
    if any("/code/" in name or name.endswith("constants.pkl") for name in names):
        raise refused(path, "is a TorchScript program: save `module.state_dict()` instead")
    if any(name.endswith(("/data.pkl", "data.pkl")) for name in names):
        return _read_torch(path)
    if names and all(name.endswith(".npy") for name in names):
        return _read_npz(path)
    if any("exported_program" in name or name.endswith("archive_format") for name in names):
        raise refused(path, "is an exported program of PyTorch: save its state_dict instead")
    raise refused(path, "is an archive without tensors: unpack it first")


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except ValueError as error:
        what = "contains Python objects, which are not read because that could run code"
        raise refused(path, what if "allow_pickle" in str(error) else "is damaged") from error
    except Exception as error:  # a damaged archive raises many kinds of errors in zlib and NumPy
        raise refused(path, "is damaged") from error


def _read_torch(path: Path) -> Any:
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            f"Reading {path} needs PyTorch: pip install 'keras-dla[torch]'"
        ) from error
    try:
        with torch.serialization.safe_globals(_harmless()):
            return torch.load(path, map_location="cpu", weights_only=True)
    # A damaged or hostile file raises many kinds of errors in PyTorch's reader.
    except Exception as error:
        raise refused(path, _torch_damage(error)) from error


def _torch_damage(error: Exception) -> str:
    found = REFUSED_CLASS.search(str(error))
    if found is None:
        return "is damaged, truncated or not a checkpoint"
    return (
        f"contains an object of {found[1] or found[2]} besides tensors, which is not read "
        "because that could run code; torch.save(model.state_dict(), ...) in the program that "
        "wrote it saves only the tensors"
    )


def _harmless() -> list:
    """Returns the classes that training scripts save besides tensors and that cannot do harm."""
    pure = {"PosixPath": pathlib.PurePosixPath, "WindowsPath": pathlib.PureWindowsPath}
    pure |= {f"Pure{name}": made for name, made in pure.items()}
    paths = [
        (made, f"{module}.{name}")
        for name, made in pure.items()
        for module in ("pathlib", "pathlib._local")
    ]
    numpy_names = [
        (_numpy_scalar, f"{module}.multiarray.scalar") for module in ("numpy.core", "numpy._core")
    ]
    dtypes = [value for value in vars(np.dtypes).values() if isinstance(value, type)]
    times = [datetime.datetime, datetime.date, datetime.time, datetime.timedelta, datetime.timezone]
    # PyTorch's reader can only fill its own dictionaries.
    default: tuple = (lambda factory=None: collections.OrderedDict(), "collections.defaultdict")
    plain = [list, dict, int, float, set, argparse.Namespace, default, np.dtype]
    return [*paths, *numpy_names, *dtypes, *times, *plain]


def _numpy_scalar(dtype: np.dtype, data: Any = b"") -> Any:
    """Rebuilds a pickled NumPy number; one of dtype object would be a pickle inside the pickle."""
    if dtype.hasobject:
        raise ValueError("an object in place of a number")
    raw = data.encode("latin1") if isinstance(data, str) else bytes(data)
    return np.frombuffer(raw, dtype)[0]
