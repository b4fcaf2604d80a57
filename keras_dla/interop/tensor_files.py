"""The tensors of a checkpoint by name: finds their container and removes prefixes."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_dla.interop.checkpoint_file import read_file
from keras_dla.utils.validation import check_choice

# The names under which training frameworks save the weights, and their running average.
RAW = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights")
AVERAGED = ("state_dict_ema", "model_ema", "ema_state_dict", "ema")
CONTAINERS = (*RAW, *AVERAGED)
# The prefixes that wrappers add to every name.
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.", "encoder.")
LEADING = re.compile(f"(?:{'|'.join(map(re.escape, PREFIXES))})+")
# How deep containers may be nested.
DEEPEST = 4


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a checkpoint.

    Attributes:
        tensors: dictionary of NumPy arrays by name.
        container: tuple of strings, the names of the containers in which they were.
        prefix: string, the prefix that was removed from every name.
        left_aside: list of strings, names without the prefix, which were not read.
        averages: boolean, whether the checkpoint has averaged weights that were not read.
    """

    tensors: dict[str, np.ndarray]
    container: tuple[str, ...] = ()
    prefix: str = ""
    left_aside: tuple[str, ...] = ()
    averages: bool = False

    def told(self) -> str:
        """Returns a sentence that says which weights were read, if there was a choice."""
        if any(name in AVERAGED for name in self.container):
            return f"The averaged weights were read ({'/'.join(self.container)!r})."
        if self.averages:
            return "The raw weights were read, not their average: which='averaged' chooses that."
        return ""


def read_tensors(path_or_mapping: "str | Path | Mapping") -> dict[str, np.ndarray]:
    """Returns the tensors of a checkpoint by name, without prefixes that all names share.

    Args:
        path_or_mapping: path of a checkpoint file, or a mapping of names to arrays.

    Returns:
        A dictionary of NumPy arrays.

    Raises:
        ValueError: when the file cannot be read or holds something other than tensors.
        ImportError: when the package that reads the file is not installed.
    """
    tensors = read_checkpoint(path_or_mapping).tensors
    return without_prefix(Checkpoint(tensors), ()).tensors


def read_checkpoint(
    path_or_mapping: "str | Path | Mapping",
    expected: Collection[str] = (),
    which: str | None = None,
) -> Checkpoint:
    """Returns the tensors of a checkpoint as a network expects them.

    Args:
        path_or_mapping: path of a checkpoint file, or a mapping of names to arrays.
        expected: names that the network has; the prefix whose removal makes most names fit is
            removed. Defaults to none, which keeps every name.
        which: string or `None`, `"raw"` or `"averaged"` weights, if the checkpoint has both;
            defaults to `None`, the raw ones, or the averaged ones if there are no others.

    Returns:
        A `Checkpoint`.

    Raises:
        ValueError: when the file cannot be read, contains something other than tensors, or does not
            have the weights that `which` asks for.
        ImportError: when the package that reads the file is not installed.
    """
    check_choice("which", which, (None, "raw", "averaged"))
    if isinstance(path_or_mapping, Mapping):
        content, source = path_or_mapping, "the mapping"
    else:
        content, source = read_file(Path(path_or_mapping)), str(path_or_mapping)
    content, container, averages = _inside(content, which, source)
    if not isinstance(content, Mapping) or not content:
        raise ValueError(f"`path_or_mapping` must hold tensors by name, but {source} holds none.")
    tensors = {str(name): _as_array(name, value, source) for name, value in content.items()}
    if all(tensor.ndim == 0 for tensor in tensors.values()):
        raise ValueError(f"`path_or_mapping` must hold tensors by name, but {source} holds none.")
    read = Checkpoint(tensors, container, averages=averages)
    return without_prefix(read, expected) if expected else read


def without_prefix(read: Checkpoint, expected: Collection[str]) -> Checkpoint:
    """Removes the prefix that makes most names fit; without `expected`, the one that all share."""
    wanted, names = set(expected), list(read.tensors)
    found = {part for name in names for part in _leading(name)}
    if wanted:
        fits = {p: sum(n[len(p) :] in wanted for n in names if n.startswith(p)) for p in found}
    else:
        fits = {p: int(all(n.startswith(p) for n in names)) * len(p) for p in found}
    prefix = max(sorted(fits, key=len), key=lambda p: fits[p])
    if wanted and not fits[prefix]:
        prefix = ""
    inside = {n[len(prefix) :]: t for n, t in read.tensors.items() if n.startswith(prefix)}
    outside = tuple(n for n in names if not n.startswith(prefix))
    return Checkpoint(inside, read.container, prefix, outside, read.averages)


def _leading(name: str) -> list[str]:
    """Returns the known prefixes of a name, from none to all."""
    match, parts = LEADING.match(name), [""]
    while match and len(parts[-1]) < match.end():
        part = next(p for p in PREFIXES if name.startswith(p, len(parts[-1])))
        parts.append(parts[-1] + part)
    return parts


def _inside(content: Any, which: str | None, source: str) -> tuple[Any, tuple[str, ...], bool]:
    """Returns the innermost mapping of tensors, its path, and whether there are averages too."""
    container: tuple[str, ...] = ()
    averages = False
    for _ in range(DEEPEST):
        inner = [n for n in CONTAINERS if isinstance(content, Mapping) and _holds(content, n)]
        if not inner:
            break
        averaged = [name for name in inner if name in AVERAGED]
        raw = [name for name in inner if name not in AVERAGED]
        averages = averages or bool(averaged and raw)
        chosen = averaged or raw if which == "averaged" else raw or averaged
        container, content = (*container, chosen[0]), content[chosen[0]]
    is_averaged = any(name in AVERAGED for name in container)
    if which is not None and (which == "averaged") != is_averaged:
        raise ValueError(f"`which` must be what {source} holds, but it has no {which} weights.")
    return content, container, averages and not is_averaged


def _holds(content: Mapping, name: str) -> bool:
    return isinstance(content.get(name), Mapping) and not hasattr(content[name], "detach")


def _as_array(name: Any, value: Any, source: str) -> np.ndarray:
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if "float8" in str(value.dtype):
            raise ValueError(
                f"`path_or_mapping` must hold numeric tensors, but {name!r} of {source} is in "
                f"{value.dtype}, a quantised type that means nothing without its scales."
            )
        # NumPy has no bfloat16; every bfloat16 value is also a float32.
        value = value.float().numpy() if value.is_floating_point() else value.numpy()
    if isinstance(value, (list, tuple)):
        raise ValueError(
            f"`path_or_mapping` must hold numeric tensors, but {name!r} of {source} is a list."
        )
    array = np.asarray(value)
    if array.dtype.name == "bfloat16":
        array = array.astype("float32")
    if array.dtype.kind not in "fiub":
        raise ValueError(
            f"`path_or_mapping` must hold numeric tensors, but {name!r} of {source} has dtype "
            f"{array.dtype}."
        )
    return array
