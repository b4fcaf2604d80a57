"""Exports a network, runs the exported file without Keras, and compares.

    KERAS_BACKEND=tensorflow python examples/export.py best.keras --format onnx
    KERAS_BACKEND=torch python examples/export.py dla_b_20 --format torch --images images.npy
    python examples/export.py --table        # which format is written from which backend

`docs/exports.md` explains what each format needs.
"""

import argparse
from pathlib import Path

import keras
import numpy as np

import keras_dla
from keras_dla.interop import export_model
from keras_dla.interop.exporting import FORMATS
from keras_dla.models import get_model
from keras_dla.utils.out_of_memory import ending_without_memory

BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


def load_onnx(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images})[0]


def load_tf_saved_model(path):
    import tensorflow as tf

    network = tf.saved_model.load(path)
    return lambda images: network.serve(images).numpy()


def load_litert(path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    place = interpreter.get_input_details()[0]["index"]
    result = interpreter.get_output_details()[0]["index"]

    def run(images):
        interpreter.resize_tensor_input(place, images.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(place, images)
        interpreter.invoke()
        return interpreter.get_tensor(result)

    return run


def load_torch(path):
    import torch

    network = torch.export.load(path).module()
    return lambda images: network(torch.from_numpy(images)).detach().numpy()


LOADERS = {
    "onnx": load_onnx,
    "tf_saved_model": load_tf_saved_model,
    "litert": load_litert,
    "torch": load_torch,
}


def largest_difference(model, network, images):
    """Returns the largest difference between the outputs of Keras and of the exported network."""
    expected = keras.ops.convert_to_numpy(model(images, training=False))
    return float(np.abs(network(images) - expected).max())


def table():
    """Returns the table of formats and backends in Markdown."""
    rows = [
        "| `format` | file | " + " | ".join(BACKENDS.values()) + " |",
        "|---|---|---|---|---|",
    ]
    for name, form in FORMATS.items():
        marks = ["yes" if backend in form.packages else "no" for backend in BACKENDS]
        file = f"`{form.suffix}`" if form.suffix else "folder"
        rows.append(f'| `"{name}"` | {file} | ' + " | ".join(marks) + " |")
    return "\n".join(rows)


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", help="a .keras file, or a name such as dla_l_20")
    parser.add_argument("--format", choices=tuple(FORMATS), default="onnx", help="default: onnx")
    parser.add_argument(
        "--output", type=Path, help="file to write (default: the model's name, in this folder)"
    )
    parser.add_argument("--images", type=Path, help=".npy file of images (default: random ones)")
    parser.add_argument(
        "--classes",
        type=int,
        default=100,
        metavar="N",
        help="number of classes of a network given by name (default: %(default)s)",
    )
    parser.add_argument(
        "--table", action="store_true", help="only print which backends write which formats"
    )
    args = parser.parse_args(arguments)
    if not args.table and args.model is None:
        parser.error("needs a .keras file or the name of a network")
    return args


def load_network(name, classes):
    if name.endswith(".keras"):
        return keras_dla.load_model(name, compile=False)
    return get_model(name, classes=classes)


def load_images(path, shape):
    if path is not None:
        return np.load(path, allow_pickle=False).astype("float32")
    sizes = [size or default for size, default in zip(shape, (5, 32, 32, 32), strict=True)]
    return np.random.default_rng(0).normal(size=sizes).astype("float32")


@ending_without_memory()
def main(arguments=None):
    args = parse_arguments(arguments)
    if args.table:
        print(table())
        return
    try:
        model = load_network(args.model, args.classes)
        images = load_images(args.images, model.input_shape)
        output = args.output or Path(model.name + FORMATS[args.format].suffix)
        export_model(model, output, args.format)
    except (ValueError, ImportError, OSError) as error:
        raise SystemExit(f"error: {error}") from error
    difference = largest_difference(model, LOADERS[args.format](output), images)
    print(f"{output}: outputs of {len(images)} images differ from Keras's by {difference:.1e}")


if __name__ == "__main__":
    main()
