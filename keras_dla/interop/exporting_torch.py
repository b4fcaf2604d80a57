"""The formats written from PyTorch, both with `torch.export`."""

import warnings
from pathlib import Path

import keras
import torch


def write_program(model: keras.Model, path: Path) -> None:
    """Writes a `torch.export` program."""
    torch.export.save(exported_program(model), path)


def write_onnx(model: keras.Model, path: Path) -> None:
    """Writes an ONNX file.

    Keras exports a free batch size through TorchScript, which does not know fused batch
    normalisation.
    """
    program = torch.onnx.export(
        exported_program(model),
        input_names=[model.inputs[0].name],
        dynamo=True,
        verbose=False,
    )
    # They contain source lines with paths of this machine for every operation.
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()
    program.save(path)


def exported_program(model: keras.Model) -> torch.export.ExportedProgram:
    """Returns the model as PyTorch traces it, with every unknown size left free."""
    shape = model.inputs[0].shape
    free = {axis: torch.export.Dim.DYNAMIC for axis, size in enumerate(shape) if size is None}
    # PyTorch takes a size of 1, also of the last map, for a constant, and may take two equal sizes
    # for the same one.
    sizes = [size or (2 if axis == 0 else 128 + 2 * axis) for axis, size in enumerate(shape)]
    images = keras.ops.ones(sizes, model.inputs[0].dtype)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not properly registered as a submodule.*")
        # A Keras model's `forward` takes `*args`, so its first argument is a tuple.
        program = torch.export.export(model, (images,), dynamic_shapes=[(free,)], strict=False)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # paths of this machine
    return program


WRITERS = {"onnx": write_onnx, "torch": write_program}
