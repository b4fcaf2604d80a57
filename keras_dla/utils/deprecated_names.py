"""Old public names, which keep working for one release with a warning."""

import importlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any


def deprecated_names(module: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """Returns the `__getattr__` of a module in which public names were renamed.

    Args:
        module: string, the module's `__name__`.
        names: mapping from old names to new ones.

    Example:
    >>> from keras_dla.utils.deprecated_names import deprecated_names
    >>> find = deprecated_names("keras_dla.utils.files", {"replace_file": "replacing"})
    >>> find("unknown")
    Traceback (most recent call last):
    AttributeError: module 'keras_dla.utils.files' has no attribute 'unknown'
    """

    def find(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warnings.warn(
            f"{module}.{name} is now called {names[name]}; the old name will be removed in the "
            "next release.",
            DeprecationWarning,
            stacklevel=2,
        )
        return getattr(importlib.import_module(module), names[name])

    return find
