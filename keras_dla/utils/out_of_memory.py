"""One sentence for a machine or accelerator that is out of memory."""

import contextlib
import re
from collections.abc import Iterator

SENTENCE = (
    "There is not enough memory: smaller images or batches need less, and a run's folder keeps "
    "its last state."
)
# The frameworks' messages; each framework has an exception of its own.
_WORDS = re.compile(
    r"RESOURCE_EXHAUSTED|out of memory|not enough memory|can't allocate memory|OOM when", re.I
)


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether an error means that the machine or its accelerator is out of memory.

    Args:
        error: exception.

    Example:
    >>> is_out_of_memory(MemoryError()), is_out_of_memory(ValueError("no"))
    (True, False)
    """
    return isinstance(error, MemoryError) or bool(_WORDS.search(str(error)))


@contextlib.contextmanager
def as_memory_error() -> Iterator[None]:
    """Turns a framework's out-of-memory error into a `MemoryError` of one sentence.

    Example:
    >>> with as_memory_error():
    ...     raise RuntimeError("CUDA out of memory.")
    Traceback (most recent call last):
    MemoryError: There is not enough memory: smaller images or batches need less, and ...
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise MemoryError(SENTENCE) from error


@contextlib.contextmanager
def ending_without_memory() -> Iterator[None]:
    """Ends a script that runs out of memory with the one sentence; also a decorator of `main`.

    Example:
    >>> with ending_without_memory():
    ...     raise RuntimeError("CUDA out of memory.")
    Traceback (most recent call last):
    SystemExit: There is not enough memory: smaller images or batches need less, and ...
    """
    try:
        with as_memory_error():
            yield
    except MemoryError as error:
        raise SystemExit(str(error)) from error
