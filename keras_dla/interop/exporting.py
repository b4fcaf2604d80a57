"""Networks in formats that run without Keras."""

import contextlib
import importlib.util
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import keras

from keras_dla.interop.exporting_detector import is_detector, write_detector
from keras_dla.interop.verify_export import RUNTIMES, verify_export
from keras_dla.utils.files import PARTIAL
from keras_dla.utils.names import EXPORT_SUFFIXES


@dataclass(frozen=True)
class Format:
    """A format: its file ending, and the packages it needs on each backend that can write it."""

    suffix: str
    packages: dict[str, tuple[str, ...]]


FORMATS = {
    "onnx": Format(
        EXPORT_SUFFIXES["onnx"], {"tensorflow": ("tf2onnx",), "torch": ("onnx", "onnxscript")}
    ),
    "tf_saved_model": Format(
        EXPORT_SUFFIXES["tf_saved_model"], {"tensorflow": (), "jax": ("tensorflow",)}
    ),
    "litert": Format(EXPORT_SUFFIXES["litert"], {"tensorflow": ()}),
    "torch": Format(EXPORT_SUFFIXES["torch"], {"torch": ()}),
}


def export_model(
    model: keras.Model,
    path: "str | Path",
    format: str,
    image_shape: tuple[int, int] | None = None,
    verify: bool = True,
) -> None:
    """Writes a network in a format that runs without Keras and without this package.

    The batch size stays free, and so do heights and widths that are `None` in the model's input
    shape. The exported network runs in inference: it drops no path and updates no statistics. A
    `.keras` file is the same on every backend, so a network trained on one can be exported from
    another.

    Args:
        model: a functional model with one input, such as those of `keras_dla.models`, or a
            detector.
        path: where to write: a file that ends in `.onnx`, `.tflite` (LiteRT) or `.pt2`
            (`torch.export`), which is replaced if it exists, or a new folder (`"tf_saved_model"`).
        format: `"onnx"` (from TensorFlow and PyTorch), `"tf_saved_model"` (from TensorFlow and
            JAX), `"litert"` (from TensorFlow) or `"torch"` (from PyTorch). A detector is written
            as `"onnx"` (from TensorFlow) or `"tf_saved_model"` (from TensorFlow, and from JAX all
            but `RetinaNet`).
        image_shape: pair of integers, height and width in pixels of the padded images that an
            exported detector reads; defaults to None, that of its training.
        verify: boolean, whether to open what was written with the format's own runtime, run it on
            random images at three batch sizes and compare with the model before `path` is changed;
            defaults to `True`. A detector is not verified.

    Raises:
        ValueError: if `format` is unknown or cannot be written from this backend, if `path` does
            not fit it, if `model` is not a functional model with one input, or if with `verify` the
            runtime does not open what was written, or computes numbers other than the model's.
        ImportError: if the package that writes the format, or with `verify` the one that runs it,
            is not installed.

    Example:
    >>> import keras_dla
    >>> model = keras_dla.models.ResNet(11, "dla_l", classes=10)
    >>> keras_dla.interop.export_model(model, "network.pb", "onnx")
    Traceback (most recent call last):
        ...
    ValueError: `path` must end in '.onnx' for `format='onnx'`, but is 'network.pb'.
    """
    path = Path(path)
    _check_format(format)
    _check_path(path, format)
    if not is_detector(model):
        _check_model(model)
    _check_backend(format)
    verify = verify and not is_detector(model)
    if verify:
        _check_runtime(format)
    with _partial_folder(path) as folder:
        if is_detector(model):
            write_detector(model, folder / path.name, format, image_shape)
        else:
            _writers()[format](model, folder / path.name)
        if verify:
            verify_export(model, folder / path.name, format)
        os.replace(folder / path.name, path)


@contextlib.contextmanager
def _partial_folder(path: Path) -> Iterator[Path]:
    """Yields an empty folder beside `path`; removes what a killed export may have left there."""
    folder = path.with_name(f"{PARTIAL}{path.name}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _writers():
    if keras.backend.backend() == "torch":
        from keras_dla.interop.exporting_torch import WRITERS
    else:
        from keras_dla.interop.exporting_tensorflow import WRITERS
    return WRITERS


def _check_format(format):
    if format not in FORMATS:
        raise ValueError(
            f"`format` must be one of {', '.join(map(repr, FORMATS))}, but is {format!r}."
        )


def _check_path(path, format):
    suffix = FORMATS[format].suffix
    if suffix and path.suffix != suffix:
        raise ValueError(
            f"`path` must end in {suffix!r} for `format={format!r}`, but is {str(path)!r}."
        )
    if path.is_dir() or (path.exists() and not suffix):
        raise ValueError(
            f"`path` must be {'a file' if suffix else 'a new folder'} for `format={format!r}`, "
            f"but {str(path)!r} exists already."
        )
    if not path.parent.is_dir():
        raise ValueError(f"`path` must be in an existing folder, but is {str(path)!r}.")


def _check_model(model):
    if not isinstance(model, keras.Model) or len(getattr(model, "inputs", None) or ()) != 1:
        raise ValueError(
            f"`model` must be a functional keras.Model with one input, but is {model!r}."
        )


def _check_backend(format):
    packages, backend = FORMATS[format].packages, keras.backend.backend()
    if backend not in packages:
        raise ValueError(
            f"`format` {format!r} needs the backend {' or '.join(packages)}, but the backend is "
            f"{backend}: save the model to a .keras file and export that with "
            f"KERAS_BACKEND={next(iter(packages))}."
        )
    missing = [name for name in packages[backend] if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f"keras_dla.interop.export_model needs {' and '.join(missing)} for {format!r}: "
            f"pip install 'keras-dla[export]'"
        )


def _check_runtime(format):
    runtime = RUNTIMES.get(format)
    if runtime is not None and importlib.util.find_spec(runtime) is None:
        raise ImportError(
            f"keras_dla.interop.export_model needs {runtime} to verify {format!r}: "
            f"pip install 'keras-dla[export]', or export with verify=False."
        )
