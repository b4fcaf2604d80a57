"""The program: its commands, and how their errors reach a person."""

import argparse
import os
import sys
from collections.abc import Sequence

from keras_dla.cli.commands import (
    attention,
    convert,
    detect,
    evaluate,
    list_models,
    predict,
    report,
    summary,
    tables,
    train,
)
from keras_dla.cli.errors import CommandError, as_sentence
from keras_dla.cli.options.imports import import_files
from keras_dla.version import __version__

DESCRIPTION = "Dynamic Layer Attention: look at its networks, run them, convert their weights."
EPILOG = """\
a first walk:
  keras-dla list dla                                    networks whose name has "dla" in it
  keras-dla summary dla_l_56                            where its parameters and FLOPs are
  keras-dla convert model_best.pth.tar dla.keras --model dla_l_56
  keras-dla predict dla.keras cat.png --classes cifar100
  keras-dla attention dla.keras cat.png -o attention.png --normalize cifar

`keras-dla COMMAND --help` tells more. The backend is Keras's own switch:
  KERAS_BACKEND=torch keras-dla ...                     or jax, or tensorflow
"""
COMMANDS = (
    list_models,
    summary,
    train,
    report,
    predict,
    attention,
    detect,
    evaluate,
    convert,
    tables,
)
# What the library raises for what a person gave it; anything else is a defect and shows itself.
EXPECTED = (CommandError, ValueError, ImportError, OSError)
FAILED = 2
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: optional, the arguments behind the program's name; by default those of the process.

    Returns:
        The exit status: 0, or 2 after an error, which is one sentence on standard error.

    Example:
    >>> from keras_dla.cli import main
    >>> main(["list", "dla_l", "--images", "cifar"])
    dla_l_20
    dla_l_56
    dla_l_110
    dla_l_164
    0
    """
    parser = make_parser()
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.print_help(sys.stderr)
        return FAILED
    try:
        import_files(getattr(arguments, "imports", ()))
        arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        return _reader_left()
    except KeyboardInterrupt:
        return INTERRUPTED
    except EXPECTED as error:
        if arguments.traceback:
            raise
        sentence = as_sentence(error)
        print(f"{parser.prog} {arguments.command}: error: {sentence}", file=sys.stderr)
        return FAILED
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of the whole program."""
    parser = argparse.ArgumentParser(
        prog="keras-dla",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument(
        "--traceback", action="store_true", help="show where an error came from, for a report"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for command in COMMANDS:
        command.add_parser(commands)
    return parser


def _reader_left() -> int:
    """Ends quietly where `keras-dla list | head` has read enough."""
    # Python flushes standard output once more at its end, which would fail again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
