"""One process at a time in a folder."""

import errno
import os
from pathlib import Path

from filelock import FileLock, Timeout

LOCK = "run.lock"
# The errors of a file system without locks.
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)
# The locks that this process holds until it ends, each with the file that was locked.
_held: dict[Path, tuple[FileLock, tuple[int, int]]] = {}
# The file behind each path that was locked, which a link may lead elsewhere later.
_behind: dict[Path, Path] = {}


def lock_folder(folder: Path) -> None:
    """Keeps other processes out of a folder until this process ends.

    The operating system releases the lock, even of a killed process. This process may lock the
    folder again. On file systems without locks nothing is locked.

    Args:
        folder: path of an existing folder, in which an empty file `run.lock` is created.

    Raises:
        BlockingIOError: when another process has locked it.
    """
    file = folder.resolve() / LOCK
    _behind[folder.absolute()] = file
    if file in _held and _identity(file) == _held[file][1]:
        return
    lock = FileLock(file, blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise BlockingIOError(
            f"{folder} is in use by another process: wait until it ends, or choose another folder."
        ) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return
    _held[file] = lock, _identity(file)


def check_lock(folder: Path) -> None:
    """Raises `FileExistsError` if a folder that this process locked has been replaced since.

    A folder that another process deleted and made again has another lock file. A folder that this
    process has not locked passes the check.

    Args:
        folder: path of the folder.
    """
    file = _behind.get(folder.absolute(), folder.resolve() / LOCK)
    if file in _held and _identity(folder / LOCK) != _held[file][1]:
        raise FileExistsError(
            f"{folder} was removed or replaced since this process opened it, so nothing more is "
            "written to it."
        )


def _identity(file: Path) -> tuple[int, int]:
    """Returns numbers that tell a file from a later one of the same name; (0, 0) for none."""
    try:
        status = os.stat(file)
    except OSError:
        return 0, 0
    return status.st_dev, status.st_ino


def _forget() -> None:
    """Forgets the locks in a forked child process, which does not hold them."""
    _held.clear()
    _behind.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
