"""How a command is added to the program."""

import argparse
from collections.abc import Callable, Mapping
from typing import Any

Commands = Any  # what `ArgumentParser.add_subparsers` returns; argparse has no public name for it


def new_command(
    commands: Commands,
    name: str,
    run: Callable[[argparse.Namespace], None],
    summary: str,
    text: str,
    typed: Mapping[str, str] | None = None,
) -> argparse.ArgumentParser:
    """Returns the parser of a new command.

    Args:
        commands: what `ArgumentParser.add_subparsers` returned.
        name: string, what is typed.
        run: function of the parsed arguments.
        summary: string, half a line for the list of commands.
        text: string, what is printed below the command's options: how it is used, with examples.
        typed: mapping, what the user types for an argument of the library that errors may name,
            such as `{"number": "TABLE"}`; defaults to `None`, no such names.
    """
    parser = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, typed=typed or {})
    return parser


def new_group(commands: Commands, name: str, summary: str, metavar: str, text: str) -> Commands:
    """Returns what the commands of a new group are added to.

    Args:
        commands: what `ArgumentParser.add_subparsers` returned.
        name: string, what is typed.
        summary: string, half a line for the list of commands.
        metavar: string, what the commands of the group are called.
        text: string, examples.
    """
    parser = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser.add_subparsers(dest="part", metavar=metavar, required=True)


def options(*names: str) -> dict[str, str]:
    """Returns the command-line options for these argument names.

    Example:
    >>> options("epochs", "batch_size")
    {'epochs': '--epochs', 'batch_size': '--batch-size'}
    """
    return {name: f"--{name.replace('_', '-')}" for name in names}
