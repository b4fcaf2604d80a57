"""`keras-dla convert`: the authors' checkpoints to `.keras`, and `.keras` to other formats."""

import argparse
import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keras_dla.cli.command import Commands, new_command, options
from keras_dla.cli.errors import CommandError
from keras_dla.cli.options.files import add_force_option, check_output, file_argument
from keras_dla.cli.options.imports import add_import_option
from keras_dla.cli.options.networks import (
    add_network_options,
    check_name,
    load_network,
    network_arguments,
)
from keras_dla.cli.terminal import tell
from keras_dla.utils.names import EXPORT_SUFFIXES

CHECKPOINTS = (".pth", ".pth.tar", ".pt", ".safetensors")
# Further endings that are read; the content says what such a file is.
READ = (*CHECKPOINTS, ".bin", ".ckpt", ".npz", ".safetensors.index.json")
# Exported formats by file ending; a SavedModel is a folder.
EXPORTS = {suffix: name for name, suffix in EXPORT_SUFFIXES.items() if suffix}
TYPED = {
    "model": "INPUT",
    "path_or_mapping": "INPUT",
    "path": "OUTPUT",
    "name": "--model",
    **options("classes", "format", "formulation", "unit", "reduction"),
}
TEXT = f"""\
The file endings decide: {", ".join(CHECKPOINTS)} are PyTorch checkpoints (of the
authors' code, or of a plain ResNet), .keras is a network of this package, and .onnx, .tflite
(LiteRT) and .pt2 (torch.export) are exported formats. A TensorFlow SavedModel is a folder:
--format tf_saved_model. Not every backend can write every format, but all of them read the same
.keras file.

A checkpoint contains only tensors, so --model must name its network. All tensors must match, or
nothing is written. Code in a file is never executed.

  keras-dla convert model_best.pth.tar dla.keras --model dla_l_56
  keras-dla convert dla.keras dla.pth.tar
  keras-dla convert dla.keras dla.onnx
  keras-dla convert dla.keras folder --format tf_saved_model
"""


def add_parser(commands: Commands) -> None:
    """Adds the command to the program."""
    parser = new_command(
        commands,
        "convert",
        run,
        "convert networks between formats",
        TEXT,
        typed=TYPED,
    )
    file_argument(parser, "input", metavar="INPUT", help="a checkpoint, or a .keras file")
    file_argument(parser, "output", metavar="OUTPUT", type=Path, help="file or folder to write")
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="the network that the checkpoint belongs to; see `keras-dla list`",
    )
    parser.add_argument(
        "--classes",
        type=int,
        metavar="N",
        help="number of classes (default: as in the checkpoint)",
    )
    parser.add_argument(
        "--format",
        choices=EXPORT_SUFFIXES,
        help="export format, if the ending of OUTPUT does not determine it",
    )
    add_force_option(parser)
    add_network_options(parser)
    add_import_option(parser)


def run(arguments: argparse.Namespace) -> None:
    """Writes the output, completely or not at all."""
    convert = _conversion(arguments)
    check_output(arguments.output, arguments.force)
    convert(arguments)
    print(f"wrote {arguments.output}")


def _conversion(arguments: argparse.Namespace) -> Callable[[argparse.Namespace], None]:
    """Returns the conversion for these file endings, after checking the options against it."""
    source, output = arguments.input, str(arguments.output)
    if source.endswith(READ):
        _check_from_checkpoint(arguments)
        return _from_checkpoint
    if not source.endswith(".keras"):
        raise CommandError(f"INPUT must end in .keras, {', '.join(READ)}, but is {source}.")
    if arguments.model or network_arguments(arguments):
        raise CommandError(
            "`--model` and its options must not be given for a .keras file, which contains its "
            "own network."
        )
    if arguments.format is None and output.endswith(CHECKPOINTS):
        return _to_checkpoint
    if _format(arguments) is None:
        raise CommandError(
            f"OUTPUT must end in {', '.join((*CHECKPOINTS, *EXPORTS))}, or `--format` must be "
            f"given, but is {output}."
        )
    return _to_export


def _check_from_checkpoint(arguments: argparse.Namespace) -> None:
    if not Path(arguments.input).is_file():
        raise CommandError(f"there is no file {arguments.input}.")
    if arguments.output.suffix != ".keras" or arguments.format is not None:
        raise CommandError(
            "OUTPUT must be a .keras file if INPUT is a checkpoint (that file can then be "
            "exported), "
            f"but is {arguments.output}."
        )
    if arguments.model is None:
        raise CommandError(
            "`--model` must name the network that the checkpoint belongs to; `keras-dla list` "
            "prints the names."
        )
    check_name("`--model`", arguments.model, arguments.imports)


def _format(arguments: argparse.Namespace) -> str | None:
    return arguments.format or EXPORTS.get(arguments.output.suffix)


def _from_checkpoint(arguments: argparse.Namespace) -> None:
    from keras_dla.interop import load_checkpoint
    from keras_dla.interop.tensor_files import read_tensors
    from keras_dla.keras_internals.without_tensorflow import without_tensorflow
    from keras_dla.models import get_model
    from keras_dla.utils.files import replacing

    tensors = read_tensors(arguments.input)
    given = _classes_of(tensors) | network_arguments(arguments)
    tell(f"Building {arguments.model} ...")
    model = get_model(arguments.model, **given)
    # The report of what was loaded is not the command's result.
    with contextlib.redirect_stdout(sys.stderr):
        load_checkpoint(model, arguments.input)
    with replacing(arguments.output) as partial, without_tensorflow():
        model.save(partial)


def _classes_of(tensors: dict[str, Any]) -> dict[str, int]:
    """Returns the number of classes of the checkpoint's classifier."""
    bias = tensors.get("fc.bias")
    return {} if bias is None or bias.ndim != 1 else {"classes": len(bias)}


def _to_checkpoint(arguments: argparse.Namespace) -> None:
    from keras_dla.interop import save_official_checkpoint

    save_official_checkpoint(load_network(arguments.input), arguments.output)


def _to_export(arguments: argparse.Namespace) -> None:
    model = load_network(arguments.input)
    from keras_dla.interop import export_model

    chosen = _format(arguments)
    assert chosen is not None  # see `_conversion`
    tell(f"Exporting {model.name} as {chosen} ...")
    export_model(model, arguments.output, chosen)
