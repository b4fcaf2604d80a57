"""The formats written with TensorFlow: from its own backend, and SavedModel also from JAX."""

import tempfile
from pathlib import Path

import keras


def write_saved_model(model: keras.Model, path: Path) -> None:
    """Writes a folder whose `serve` maps images to the model's output."""
    signature = input_signature(model)
    model.export(path, "tf_saved_model", verbose=False, input_signature=signature, **_of_jax())


def _of_jax() -> dict:
    """Options for JAX: inference only, without updates of random seeds and without gradients."""
    if keras.backend.backend() != "jax":
        return {}
    return {"is_static": True, "jax2tf_kwargs": {"with_gradient": False}}


def write_onnx(model: keras.Model, path: Path) -> None:
    """Writes an ONNX file with tf2onnx."""
    model.export(path, "onnx", verbose=False, input_signature=input_signature(model))


def write_litert(model: keras.Model, path: Path) -> None:
    """Writes a LiteRT file.

    Older versions of Keras cannot write it, and newer ones allow TensorFlow's own operations, which
    the plain LiteRT runtime does not have.
    """
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        write_saved_model(model, Path(folder) / "model")
        converter = tf.lite.TFLiteConverter.from_saved_model(
            str(Path(folder) / "model"), signature_keys=["serve"]
        )
        path.write_bytes(converter.convert())


def input_signature(model: keras.Model) -> list[keras.InputSpec]:
    """Returns the model's input signature; Keras needs it if the model has not been called yet."""
    (images,) = model.inputs
    return [keras.InputSpec(dtype=images.dtype, shape=images.shape, name=images.name)]


WRITERS = {
    "onnx": write_onnx,
    "tf_saved_model": write_saved_model,
    "litert": write_litert,
}
