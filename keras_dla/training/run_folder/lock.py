"""One process at a time in the folder of a run."""

import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on this platform: there, nothing keeps a second process out
    fcntl = None

LOCK = "run.lock"
# Open files by device and number. Each keeps its lock until the process ends, however it ends.
_held: dict[tuple[int, int], int] = {}


def lock_folder(folder: Path) -> None:
    """Keeps other processes out of a folder for as long as this one lives.

    The system releases the lock, of a killed process too. This process may lock the folder again.
    File systems without locks have none here either.

    Args:
        folder: Path of a folder that exists; it gets an empty file `run.lock`.

    Raises:
        BlockingIOError: If another process has locked it.
    """
    if fcntl is None:
        return
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    status = os.fstat(descriptor)
    file = (status.st_dev, status.st_ino)
    if file in _held:
        os.close(descriptor)
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise BlockingIOError(
            f"{folder} is in use by another process: wait for its end, or name another folder."
        ) from None
    except OSError:  # a file system without locks
        os.close(descriptor)
        return
    _held[file] = descriptor


def _forget() -> None:
    """Lets go of the files in a forked child, which would hold its killed parent's locks."""
    for descriptor in _held.values():
        os.close(descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
