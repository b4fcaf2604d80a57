"""Opens an exported network with its runtime, runs it, and compares it with the model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

# The packages that run a format, besides those that write it.
RUNTIMES = {"onnx": "onnxruntime", "litert": "ai_edge_litert"}
BATCHES = (1, 3, 7)
# Maps of the first size halve evenly at first, and those of the second do not. With the ImageNet
# stem, too, none shrinks to one pixel, which a program of free size from PyTorch refuses.
SIZES = ((50, 52), (49, 55))
# Allowed differences relative to the largest output, in float32 and in 16 bits.
TOLERANCE, TOLERANCE_OF_16_BITS = 1e-4, 5e-2


def verify_export(model: keras.Model, path: Path, format: str) -> None:
    """Compares an exported network with the model at several batch and image sizes.

    Args:
        model: the functional model that was exported.
        path: the file or folder.
        format: string, one of the names in `keras_dla.interop.exporting.FORMATS`.

    Raises:
        ValueError: when the runtime does not open the file, or computes other numbers.
    """
    run = _opened(path, format)
    names = {model.compute_dtype, *(layer.compute_dtype for layer in model.layers)}
    tolerance = TOLERANCE_OF_16_BITS if any("16" in name for name in names) else TOLERANCE
    for images in _inputs(model):
        expected = keras.tree.flatten(model(keras.ops.convert_to_tensor(images), training=False))
        try:
            found = run(images)
        except Exception as error:
            raise ValueError(f"{_exported(format)} fails at {_shape(images)}: {error}") from error
        for mine, other in zip(found, expected, strict=True):
            _compare(mine, keras.ops.convert_to_numpy(other), tolerance, images, format)


def _compare(found, expected, tolerance, images, format):
    expected = expected.astype("float32")
    difference = np.abs(found.astype("float32") - expected).max() if expected.size else 0.0
    if not difference <= tolerance * max(1.0, np.abs(expected).max()):
        raise ValueError(
            f"{_exported(format)} computes numbers other than Keras's: outputs for "
            f"{_shape(images)} differ by {difference:.1e}."
        )


def _exported(format):
    return f"`model` was not exported: as `format={format!r}` it"


def _shape(images):
    return f"images of shape {tuple(images.shape)}"


def _inputs(model):
    """Random images of several batch sizes, and of two image sizes if the model takes any."""
    (spec,) = model.inputs
    generator = np.random.default_rng(0)
    free = None in spec.shape[1:]
    for batch, sizes in zip(BATCHES, (SIZES[0], SIZES[1 if free else 0], SIZES[0]), strict=True):
        unknown = iter(sizes)
        rest = [size or next(unknown) for size in spec.shape[1:]]
        images = generator.normal(size=[spec.shape[0] or batch, *rest])
        yield images.astype(keras.backend.standardize_dtype(spec.dtype))


def _opened(path: Path, format: str) -> Callable[[Any], list]:
    """Returns a function that runs the file on an array and returns a list of arrays."""
    open_file = {
        "onnx": _open_onnx,
        "tf_saved_model": _open_saved_model,
        "litert": _open_litert,
        "torch": _open_program,
    }[format]
    try:
        return open_file(path)
    except Exception as error:
        raise ValueError(f"{_exported(format)} cannot be opened: {error}") from error


def _open_onnx(path):
    import onnx
    import onnxruntime

    onnx.checker.check_model(str(path), full_check=True)
    session = onnxruntime.InferenceSession(str(path))
    (images,) = session.get_inputs()
    return lambda x: session.run(None, {images.name: x})


def _open_saved_model(path):
    import tensorflow as tf

    network = tf.saved_model.load(str(path))
    return lambda x: [output.numpy() for output in keras.tree.flatten(network.serve(x))]


def _open_litert(path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    place = interpreter.get_input_details()[0]["index"]

    def run(images):
        interpreter.resize_tensor_input(place, images.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(place, images)
        interpreter.invoke()
        return [interpreter.get_tensor(one["index"]) for one in interpreter.get_output_details()]

    return run


def _open_program(path):
    import torch

    network = torch.export.load(path).module()

    def run(images):
        with torch.no_grad():
            outputs = network(keras.ops.convert_to_tensor(images))
        return [output.numpy(force=True) for output in keras.tree.flatten(outputs)]

    return run
