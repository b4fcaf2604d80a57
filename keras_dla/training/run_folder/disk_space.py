"""Checks before a run that its folder is writable and the disk has space for checkpoints."""

import math
import os
import shutil
import tempfile
from pathlib import Path

import keras

# `last.keras`, `best.keras`, and a temporary copy of the one that is being replaced.
COPIES = 3


def check_writable(folder: str | os.PathLike) -> None:
    """Raises `OSError` with one sentence unless files can be written to `folder`.

    Args:
        folder: path of a folder, which need not exist.
    """
    place = _existing(Path(folder))
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"\0")
            file.flush()
    except OSError as error:
        raise type(error)(f"{folder} cannot be written to ({error.strerror}).") from error


def check_disk_space(folder: str | os.PathLike, model: keras.Model) -> None:
    """Raises `OSError` with one sentence unless the disk has space for a run's checkpoints.

    Args:
        folder: path of the run's folder, which need not exist.
        model: the compiled model.
    """
    free = shutil.disk_usage(_existing(Path(folder))).free
    needed = COPIES * checkpoint_bytes(model) - _used(Path(folder))
    if free < needed:
        raise OSError(
            f"{folder} needs {_megabytes(needed)} for checkpoints, but its disk has "
            f"{_megabytes(free)} left."
        )


def checkpoint_bytes(model: keras.Model) -> int:
    """Estimates the size of a model's file: its weights, and one velocity per trainable weight."""
    velocities = model.trainable_variables
    return sum(_bytes(variable) for variable in [*model.variables, *velocities])


def _bytes(variable):
    bits = {"bool": 8}.get(variable.dtype) or int("".join(filter(str.isdigit, variable.dtype)))
    return math.prod(variable.shape) * bits // 8


def _existing(folder: Path) -> Path:
    """Returns the folder, or the nearest existing one above it."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


def _used(folder: Path) -> int:
    """Returns the size of the run's existing checkpoints, which will be replaced."""
    return sum(path.stat().st_size for path in folder.glob("*.keras") if path.is_file())


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
