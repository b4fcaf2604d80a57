"""Files that exist completely or not at all, whenever the process or the machine stops."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PARTIAL = ".partial-"
LARGEST_JSON = 1_000_000  # bytes of a file of settings


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path that replaces `path` at the end of the block.

    If the block raises, `path` stays as it was. The temporary file is in the same folder, has the
    same ending, and is flushed to disk before it replaces `path`.

    Args:
        path: `pathlib.Path`, the file to write or replace.

    Raises:
        OSError: when it cannot be written, for example on a full disk; the message names `path`.

    Example:
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "a.txt"
    ...     with replacing(path) as partial:
    ...         _ = partial.write_text("whole")
    ...     [file.name for file in pathlib.Path(folder).iterdir()]
    ['a.txt']
    """
    partial = path.with_name(PARTIAL + path.name)
    try:
        yield partial
        _flush(partial)
        os.replace(partial, path)
        _flush_folder(path.parent)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(partial)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        partial.unlink(missing_ok=True)


def read_json(path: Path) -> Any:
    """Reads a small file of JSON, which may begin with the mark of some editors (BOM).

    Args:
        path: `pathlib.Path`, the file.

    Returns:
        What it holds.

    Raises:
        ValueError: when it is no JSON, or too large or too deep to be a file of settings.
        OSError: when it cannot be read.

    Example:
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "a.json"
    ...     _ = path.write_text("[1]", encoding="utf-8-sig")
    ...     read_json(path)
    [1]
    """
    size = path.stat().st_size
    if size > LARGEST_JSON:
        raise ValueError(f"it is too large for a file of settings: {size} bytes")
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    if os.name != "posix":  # on other systems a folder cannot be opened
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
