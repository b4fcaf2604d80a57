"""One process at a time in a folder."""

import errno
import os
from pathlib import Path

from filelock import FileLock, Timeout

LOCK = "run.lock"
# What a file system without locks answers.
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)
# The locks of this process, each held until the process ends, with the file that was locked.
_held: dict[Path, tuple[FileLock, tuple[int, int]]] = {}


def lock_folder(folder: Path) -> None:
    """Keeps other processes out of a folder for as long as this one lives.

    The system releases the lock, of a killed process too. This process may lock the folder again.
    On file systems without locks nothing is locked.

    Args:
        folder: path of a folder that exists; it gets an empty file `run.lock`.

    Raises:
        BlockingIOError: when another process has locked it.
    """
    file = folder.resolve() / LOCK
    if file in _held and _identity(file) == _held[file][1]:
        return
    lock = FileLock(file, blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise BlockingIOError(
            f"{folder} is in use by another process: wait for its end, or name another folder."
        ) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return
    _held[file] = lock, _identity(file)


def check_lock(folder: Path) -> None:
    """Raises `FileExistsError` where a folder that this process locked is another one meanwhile.

    A folder that was deleted and made anew by another process has another lock file. A folder that
    this process has not locked passes.

    Args:
        folder: path of the folder.
    """
    file = folder.resolve() / LOCK
    if file in _held and _identity(file) != _held[file][1]:
        raise FileExistsError(
            f"{folder} was removed or replaced since this process opened it, so nothing more is "
            "written to it."
        )


def _identity(file: Path) -> tuple[int, int]:
    """Returns what tells a file from a later one of its name; no file has (0, 0)."""
    try:
        status = os.stat(file)
    except OSError:
        return 0, 0
    return status.st_dev, status.st_ino


def _forget() -> None:
    """Forgets the locks in a forked child, which does not hold them."""
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
