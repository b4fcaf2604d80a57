"""Imports of the packages that only some functions need."""

import importlib
from types import ModuleType

# The package to install, if its name differs from the module's.
_PACKAGES = {
    "tensorflow_datasets": "tensorflow-datasets",
    "keras_cv": "keras-cv",
    "PIL.Image": "pillow",
    "PIL.ImageDraw": "pillow",
    "PIL.ImageFont": "pillow",
    "pycocotools.mask": "pycocotools",
}


def import_for(caller: str, module: str, extra: str = "data") -> ModuleType:
    """Imports a module, or says in one sentence what needs it and how to install it.

    Args:
        caller: string, the public name of `keras_dla.data` that needs the module.
        module: string, its dotted name.
        extra: string, the extra of this package that installs it; defaults to `"data"`.

    Returns:
        The module.

    Raises:
        ImportError: when it cannot be imported.

    Example:
    >>> import_for("CocoSource", "json").loads("[1]")
    [1]
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"keras_dla.data.{caller} needs {_PACKAGES.get(module, module)}: "
            f"pip install 'keras-dla[{extra}]' ({error})"
        ) from error
