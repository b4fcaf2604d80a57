"""Imports of the packages that only some of the data functions need."""

import importlib


def import_for(caller: str, module: str):
    """Imports `module`, or says in one sentence what `caller` needs and how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = {"tensorflow_datasets": "tensorflow-datasets", "keras_cv": "keras-cv"}
        raise ImportError(
            f"keras_dla.data.{caller} needs {package.get(module, module)}: "
            f"pip install 'keras-dla[data]' ({error})"
        ) from error
