"""Checks that Keras has a backend to run on, and says what to do if it has none."""

import functools
import importlib.util
import os

BACKENDS = ("tensorflow", "jax", "torch")


@functools.cache
def keras_error() -> Exception | None:
    """Returns why Keras cannot be imported here, or `None` if it can.

    Example:
    >>> keras_error() is None
    True
    """
    try:
        import keras  # noqa: F401
    except Exception as error:  # a backend that is misspelt, missing or broken
        return error
    return None


def check_keras() -> None:
    """Raises an `ImportError` of one sentence if Keras cannot be imported.

    The sentence names the backends that are installed, and how to choose one.
    """
    error = keras_error()
    if error is not None:
        raise ImportError(backend_sentence(error)) from error


def installed_backends() -> list[str]:
    """Returns the backends whose packages are installed, without importing them."""
    return [name for name in BACKENDS if importlib.util.find_spec(name) is not None]


def backend_sentence(error: Exception) -> str:
    """Returns one sentence that says what to do if importing Keras failed.

    Args:
        error: the exception that `import keras` raised.
    """
    reason = " ".join(str(error).split()).rstrip(".")
    installed = installed_backends()
    if not installed:
        return (
            "Keras needs a backend, and none is installed: pip install 'keras-dla[torch]', "
            f"'keras-dla[jax]' or 'keras-dla[tensorflow]' ({reason})."
        )
    chosen = os.environ.get("KERAS_BACKEND")
    value = f"is {chosen!r}" if chosen else "is not set, and Keras's default is none of them"
    return (
        f"`KERAS_BACKEND` must name a backend that is installed here ({', '.join(installed)}), but "
        f"{value} ({reason}): KERAS_BACKEND={installed[-1]} before the command, or in a script "
        "before Keras is imported, chooses a backend."
    )
