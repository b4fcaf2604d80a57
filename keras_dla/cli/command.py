"""How a command is added to the program, and what it tells while it works."""

import argparse
import sys
from collections.abc import Callable


def new_command(
    commands, name: str, run: Callable, summary: str, text: str
) -> argparse.ArgumentParser:
    """Returns the parser of a new command.

    Args:
        commands: what `ArgumentParser.add_subparsers` returned.
        name: what is typed.
        run: function of the parsed arguments.
        summary: half a line for the list of commands.
        text: what stands below the command's options: how it is used, with examples.
    """
    parser = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def tell(text: str) -> None:
    """Writes a line to standard error, so that standard output holds the result alone."""
    print(text, file=sys.stderr, flush=True)
