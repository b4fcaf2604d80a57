"""Whole models from files."""

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

PACKAGE = "keras_dla>"
UNKNOWN = re.compile(r"Could not locate (?:class|function) '([^']+)'")
# The code in a layer of this class would run while the layer is loaded.
LAMBDA = re.compile(r'"class_name": ?"Lambda"')


def load_model(
    path: str | Path, custom_objects: Mapping[str, Any] | None = None, compile: bool = True
) -> keras.Model:
    """Loads a model that `model.save` wrote, without running code that the file may contain.

    `keras.saving.load_model` does the same for a `.keras` file, once `import keras_dla` has
    registered the classes in it; this function also finds them for a whole model in an `.h5` file,
    for which Keras needs each class as an argument.

    Args:
        path: string or `pathlib.Path`, a file that ends in `.keras`, `.h5` or `.hdf5`.
        custom_objects: dictionary of classes and functions of your own by name, for those that are
            not registered with Keras; defaults to `None`, no others.
        compile: boolean, whether to compile the model as it was when it was saved; defaults to
            `True`.

    Returns:
        A `keras.Model`.

    Raises:
        ValueError: when the file has another ending, is damaged, or holds code or classes that
            are not known here.
        FileNotFoundError: when there is no such file.

    Example:
    >>> import pathlib, tempfile
    >>> import keras_dla
    >>> model = keras_dla.models.ResNet(11, "se", classes=10)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "network.keras"
    ...     model.save(path)
    ...     loaded = keras_dla.load_model(path)
    >>> loaded.output_shape
    (None, 10)
    """
    path = Path(path)
    _check(path)
    known = dict(custom_objects or {})
    if path.suffix != ".keras":
        known = {**_own_classes(), **known}
    # A damaged or foreign file raises many kinds of errors in Keras, which all mean the same here.
    try:
        return keras.saving.load_model(path, custom_objects=known, compile=compile, safe_mode=True)
    except Exception as error:
        raise ValueError(f"`path` cannot be loaded: {_reason(path, error)}") from error


def _check(path: Path) -> None:
    if path.suffix not in (".keras", ".h5", ".hdf5") or path.name.endswith(".weights.h5"):
        raise ValueError(
            f"`path` must be a whole model's file and end in .keras, .h5 or .hdf5, but is "
            f"{str(path)!r}; the weights of a .weights.h5 file are read by `model.load_weights`."
        )
    if not path.is_file():
        raise FileNotFoundError(f"`path` must be an existing file, but there is no {path}.")
    if path.suffix == ".keras":
        if not zipfile.is_zipfile(path):
            raise ValueError(
                f"`path` must be a .keras file, which is a zip archive, but {path} is damaged or "
                "of another kind."
            )
    elif LAMBDA.search(_h5_config(path)):
        raise ValueError(f"`path` must be a file without code, but {path} contains a Lambda layer.")


def _h5_config(path: Path) -> str:
    import h5py  # h5py is installed with Keras

    try:
        with h5py.File(path, "r") as file:
            config = file.attrs.get("model_config")
    except OSError as error:
        raise ValueError(
            f"`path` must be an HDF5 file, but {path} is damaged or of another kind."
        ) from error
    if config is None:
        raise ValueError(
            f"`path` must be a whole model's file, but {path} contains only weights: build the "
            "model and call `model.load_weights`."
        )
    return config.decode() if isinstance(config, bytes) else str(config)


def _own_classes() -> dict[str, Any]:
    """Returns the registered classes of this package as an HDF5 file names them."""
    registered = keras.saving.get_custom_objects()
    return {
        name.removeprefix(PACKAGE): value
        for name, value in registered.items()
        if name.startswith(PACKAGE)
    }


def _reason(path: Path, error: Exception) -> str:
    unknown = UNKNOWN.search(str(error))
    if unknown:
        return (
            f"{path} contains {unknown[1]!r}, which is not registered; import the module that "
            "defines it, or pass it in `custom_objects`."
        )
    first = " ".join(str(error).split("\n")[0].split()) or type(error).__name__
    if path.suffix != ".keras" and "Unknown layer" in first:
        return (
            f"{path} contains a class that Keras finds only in .keras files "
            f"({first.split('.')[0]}); build the network, call `model.load_weights`, and save it "
            "as .keras."
        )
    return f"{path}: {first}"
