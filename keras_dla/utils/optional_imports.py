"""Imports of the packages that only some of the data functions need."""

import importlib
from types import ModuleType

# The package to install, where it is named unlike its module.
_PACKAGES = {
    "tensorflow_datasets": "tensorflow-datasets",
    "keras_cv": "keras-cv",
    "PIL.Image": "pillow",
    "PIL.ImageDraw": "pillow",
    "PIL.ImageFont": "pillow",
    "pycocotools.mask": "pycocotools",
}


def import_for(caller: str, module: str, extra: str = "data") -> ModuleType:
    """Imports `module`, or says in one sentence what `caller` needs and how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"keras_dla.data.{caller} needs {_PACKAGES.get(module, module)}: "
            f"pip install 'keras-dla[{extra}]' ({error})"
        ) from error
