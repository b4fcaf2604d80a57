"""The formats that are written through TensorFlow: from its backend, and SavedModel from JAX."""

import tempfile
from pathlib import Path

import keras


def write_saved_model(model: keras.Model, path: Path) -> None:
    """Writes a folder whose `serve` maps images to the model's output."""
    signature = input_signature(model)
    model.export(path, "tf_saved_model", verbose=False, input_signature=signature, **_of_jax())


def _of_jax() -> dict:
    """For inference only: no function that rewrites the seeds of random layers, no gradients."""
    if keras.backend.backend() != "jax":
        return {}
    return {"is_static": True, "jax2tf_kwargs": {"with_gradient": False}}


def write_onnx(model: keras.Model, path: Path) -> None:
    """Writes an ONNX file through tf2onnx."""
    model.export(path, "onnx", verbose=False, input_signature=input_signature(model))


def write_litert(model: keras.Model, path: Path) -> None:
    """Writes a LiteRT file.

    Older versions of Keras do not, and newer ones let TensorFlow's own operations in, which the
    plain LiteRT runtime does not have.
    """
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        write_saved_model(model, Path(folder) / "model")
        converter = tf.lite.TFLiteConverter.from_saved_model(
            str(Path(folder) / "model"), signature_keys=["serve"]
        )
        path.write_bytes(converter.convert())


def input_signature(model: keras.Model) -> list[keras.InputSpec]:
    """The model's input, which Keras asks for where the model has not been called yet."""
    (images,) = model.inputs
    return [keras.InputSpec(dtype=images.dtype, shape=images.shape, name=images.name)]


WRITERS = {
    "onnx": write_onnx,
    "tf_saved_model": write_saved_model,
    "litert": write_litert,
}
