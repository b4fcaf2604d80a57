"""Detectors in formats that run without Keras, including non-maximum suppression.

A detector loops over boxes until enough are found, which `torch.export` cannot trace and plain
LiteRT has no operations for.
"""

import tempfile
from pathlib import Path
from typing import Any

import keras

# The lowest version with the operators that the loops need.
OPSET = 18


def is_detector(model: object) -> bool:
    """Returns whether `model` is a detector, which reads images and their sizes."""
    return hasattr(model, "infer") and hasattr(model, "export_shape")


def write_detector(
    model: Any, path: Path, format: str, image_shape: tuple[int, int] | None
) -> None:
    """Writes a detector that maps `images` and `sizes` to `boxes`, `scores` and `classes`.

    The number of images stays free; their height and width are fixed, as the anchors' are.

    Args:
        model: a `FasterRCNN`, `MaskRCNN` or `RetinaNet`.
        path: the file or folder to write.
        format: `"onnx"` or `"tf_saved_model"`.
        image_shape: pair of integers, height and width of the padded images in pixels, or None for
            those of its training.

    Raises:
        ValueError: when the format cannot be written, or the size of the images is unknown.
    """
    backend = keras.backend.backend()
    from_backends = {"onnx": ("tensorflow",), "tf_saved_model": model.saved_model_backends}
    if backend not in from_backends.get(format, ()):
        raise ValueError(
            "`format` of a detector must be 'onnx' from the backend tensorflow or "
            f"'tf_saved_model' from {' or '.join(model.saved_model_backends)}, but for "
            f"{model.name!r} is {format!r} from {backend}."
        )
    shape = model.export_shape(image_shape)
    if backend == "jax":
        _write_saved_model_of_jax(model, shape, path)
    elif format == "tf_saved_model":
        _write_saved_model(model, _function(model, shape), path)
    else:
        _write_onnx(_function(model, shape), path)


def _write_saved_model_of_jax(model, shape, path):
    archive = keras.export.ExportArchive()
    archive.track(model)
    signature = {
        "images": keras.InputSpec("float32", (None, *shape), name="images"),
        "sizes": keras.InputSpec("int32", (None, 2), name="sizes"),
    }
    # For inference only, as in `exporting_tensorflow`.
    settings = {"is_static": True, "jax2tf_kwargs": {"with_gradient": False}}
    archive.add_endpoint("serve", model.infer, input_signature=[signature], **settings)
    archive.write_out(str(path), verbose=False)


def _function(model, shape):
    import tensorflow as tf

    signature = [
        tf.TensorSpec((None, *shape), tf.float32, name="images"),
        tf.TensorSpec((None, 2), tf.int32, name="sizes"),
    ]

    @tf.function(input_signature=signature)
    def serve(images, sizes):
        return model.infer({"images": images, "sizes": sizes})

    return serve


def _write_saved_model(model, serve, path):
    import tensorflow as tf

    module = tf.Module()
    module.model, module.serve = model, serve
    tf.saved_model.save(module, str(path), signatures={"serve": serve})


def _write_onnx(serve, path):
    import tf2onnx

    with tempfile.TemporaryDirectory() as folder:
        partial = Path(folder) / "detector.onnx"
        tf2onnx.convert.from_function(
            serve, input_signature=serve.input_signature, opset=OPSET, output_path=str(partial)
        )
        path.write_bytes(partial.read_bytes())
