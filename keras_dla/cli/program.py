"""The program: its commands, and how it reports their errors."""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from rich.console import Console
from rich.text import Text

from keras_dla.cli.commands import (
    attention,
    completion,
    convert,
    detect,
    evaluate,
    explore,
    figure,
    list_models,
    predict,
    report,
    summary,
    tables,
    train,
    weights,
)
from keras_dla.cli.errors import CommandError, as_sentence
from keras_dla.cli.options.imports import import_files
from keras_dla.utils.out_of_memory import is_out_of_memory
from keras_dla.version import __version__

DESCRIPTION = "Dynamic Layer Attention: inspect, train, run and convert its networks."
EPILOG = """\
to get started:
  keras-dla list dla                                    networks with "dla" in their name
  keras-dla summary dla_l_56                            where its parameters and FLOPs are
  keras-dla predict --model dla_l_20 --weights cifar100 cat.png    with bundled weights
  keras-dla train --epochs 3                            DLA-L-20 on CIFAR-100, a short run
  keras-dla attention dla.keras cat.png -o attention.png --normalize cifar

`keras-dla COMMAND --help` explains a command. Set KERAS_BACKEND to switch between backends:
  KERAS_BACKEND=torch keras-dla ...                     or jax, or tensorflow
"""
PROGRAM = "keras-dla"
COMMANDS = (
    list_models,
    summary,
    train,
    report,
    predict,
    detect,
    attention,
    explore,
    figure,
    evaluate,
    convert,
    weights,
    tables,
    completion,
)
# What the library raises for wrong input; any other error is a bug and keeps its traceback.
EXPECTED = (CommandError, ValueError, ImportError, OSError)
FAILED = 2
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: sequence of strings, the arguments after the program's name; defaults to `None`, those
            of the process.

    Returns:
        The exit status: 0; 2 after an error, which is one sentence on standard error; 130 after
        Ctrl-C.

    Example:
    >>> from keras_dla.cli import main
    >>> main(["list", "dla_l", "--images", "cifar"])
    dla_l_20
    dla_l_56
    dla_l_110
    dla_l_164
    0
    """
    name = PROGRAM
    try:
        parser = make_parser()
        _refuse_empty(parser, sys.argv[1:] if argv is None else argv)
        arguments = parser.parse_args(argv)
        if arguments.command is None:
            parser.print_help(sys.stderr)
            return FAILED
        name = f"{PROGRAM} {arguments.command}"
        _run(arguments)
    except BrokenPipeError:  # `keras-dla list | head` has read enough
        _drop_output()
    except KeyboardInterrupt as stop:
        _say(f"{name}: ", str(stop) or "interrupted.")
        return INTERRUPTED
    except Exception as error:
        if arguments.traceback or not (isinstance(error, EXPECTED) or is_out_of_memory(error)):
            raise
        _say(f"{name}: error: ", as_sentence(error, arguments.typed))
        return FAILED
    return 0


def _refuse_empty(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """An empty path would be the current folder, and an empty name would be none."""
    for argument in argv:
        if not argument or (argument.startswith("--") and argument.endswith("=")):
            name = f" {argument}" if argument else ""
            parser.error(f"an argument{name} is empty, as a variable that is not set would be")


def _run(arguments: argparse.Namespace) -> None:
    if sys.stdout is None:
        raise CommandError("standard output must be open to print the result, but is closed.")
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name that the terminal or file cannot show is escaped, as Python does on stderr.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        import_files(getattr(arguments, "imports", ()))
        arguments.run(arguments)
    finally:
        _flush()


def _flush() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        _drop_output()
        raise


def _say(head: str, sentence: str) -> None:
    """Prints the last line on standard error; on a terminal its beginning is coloured."""
    line = Text.assemble((head, "bold red"), sentence)
    Console(stderr=True, soft_wrap=True, highlight=False).print(line)


def _drop_output() -> None:
    """Discards what cannot be written, which Python would try again when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence, without the list of all options before it."""

    def error(self, message: str) -> NoReturn:
        """Exits with the message on standard error.

        Args:
            message: string, argparse's message.
        """
        _say(f"{self.prog}: error: ", f"{message}; see {self.prog} --help.")
        self.exit(FAILED)


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of the whole program."""
    parser = Parser(
        prog=PROGRAM,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument(
        "--traceback", action="store_true", help="show the traceback of an error, for a bug report"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for command in COMMANDS:
        command.add_parser(commands)
    return parser
