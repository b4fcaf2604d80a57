"""The file that stores the state of all seeds between epochs."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from keras_dla.utils.files import replacing

RECORD = "record"


def save_seeds(path: Path, arrays: list[np.ndarray], record: dict) -> None:
    """Writes the state of all seeds, in one step.

    Args:
        path: file to write or replace, ending in `.npz`.
        arrays: what `StackedModels.arrays()` returned.
        record: dictionary of JSON values to store with it.
    """
    # As bytes, because types that NumPy lacks, such as bfloat16, could not be read back.
    named: dict[str, Any] = {
        f"array_{n}": np.frombuffer(a.tobytes(), "uint8") for n, a in enumerate(arrays)
    }
    named[RECORD] = np.array(json.dumps({**record, "layout": _layout(arrays)}))
    with replacing(path) as partial:
        np.savez(partial, **named)


def load_seeds(path: Path, like: list[np.ndarray]) -> tuple[list, dict]:
    """Reads a file that `save_seeds()` wrote. Nothing in the file is executed.

    Args:
        path: file to read.
        like: the state of new seeds, whose shapes and types the file must have.

    Returns:
        The arrays and the record.

    Raises:
        ValueError: when the file is damaged or belongs to another network.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            record = json.loads(str(archive[RECORD]))
            data = [archive[f"array_{n}"] for n in range(len(record["layout"]))]
    except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} cannot be read and may be damaged ({error}).") from error
    if record["layout"] != _layout(like):
        raise ValueError(
            f"{path} must contain the state of this network, but contains that of another one."
        )
    arrays = [
        np.frombuffer(entry.tobytes(), array.dtype).reshape(array.shape)
        for entry, array in zip(data, like, strict=True)
    ]
    return arrays, record


def _layout(arrays):
    return [[list(array.shape), str(array.dtype)] for array in arrays]
