"""Files and folders that a command reads or writes."""

import argparse
import os
from pathlib import Path
from typing import Any

from keras_dla.cli.errors import CommandError

PLOT_ENDINGS = (".png", ".pdf", ".svg")
# What a shell completes; shtab reads this attribute of an option.
FILE = {"bash": "_shtab_compgen_files", "zsh": "_files", "tcsh": "f"}
FOLDER = {"bash": "_shtab_compgen_dirs", "zsh": "_files -/", "tcsh": "d"}


def file_argument(
    parser: Any, *names: str, folder: bool = False, **settings: Any
) -> argparse.Action:
    """Adds an argument that is the path of a file, which a shell can complete, and returns it.

    Args:
        parser: `argparse.ArgumentParser` or a group of one.
        *names: strings, as for `add_argument`.
        folder: boolean, whether it is a folder; defaults to `False`.
        **settings: further arguments of `add_argument`.
    """
    action = parser.add_argument(*names, **settings)
    action.complete = FOLDER if folder else FILE
    return action


def add_force_option(parser: argparse.ArgumentParser) -> None:
    """Adds the option to replace an existing output."""
    parser.add_argument("--force", action="store_true", help="replace the output if it exists")


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Adds the option to print JSON instead of text."""
    parser.add_argument("--json", action="store_true", help="print JSON, for other programs")


def check_output(path: Path, force: bool) -> None:
    """Raises `CommandError` unless `path` may be written."""
    if not path.parent.is_dir():
        raise CommandError(f"there is no folder {path.parent} to write {path.name} to.")
    if path.is_dir():
        raise CommandError(f"{path} is an existing folder; the output must have another name.")
    check_free(path, force)
    if not os.access(path.parent, os.W_OK):
        raise CommandError(f"the folder {path.parent} must be writable, but is not.")


def check_output_folder(option: str, folder: Path) -> None:
    """Raises `CommandError` unless `folder` is a folder or can be created.

    Args:
        option: string, how the folder was given.
        folder: path of the folder.
    """
    if folder.is_file() or not folder.parent.is_dir():
        raise CommandError(f"`{option}` must be an existing or new folder, but is {folder}.")


def check_free(path: Path, force: bool) -> None:
    """Raises `CommandError` if `path` exists and must not be replaced."""
    if path.exists() and not force:
        raise CommandError(f"{path} exists; `--force` replaces it.")


def add_output_options(parser: Any, metavar: str, help: str, folder: bool = False) -> None:
    """Adds the file or folder that the command writes, and the option to replace it.

    Args:
        parser: `argparse.ArgumentParser`.
        metavar: string, its name in the help text.
        help: string, its description in the help text.
        folder: boolean, whether it is a folder; defaults to `False`.
    """
    names = ("-o", "--output")
    file_argument(
        parser, *names, folder=folder, type=Path, required=True, metavar=metavar, help=help
    )
    add_force_option(parser)


def add_plot_options(parser: argparse.ArgumentParser) -> None:
    """Adds the file of a figure, the option to replace it, and its title."""
    add_output_options(parser, "FIGURE", "file to write: .png, .pdf or .svg")
    parser.add_argument("--title", help="title above the panels")


def check_plot(option: str, path: Path, force: bool) -> None:
    """Raises `CommandError` unless `path` may be written and has the ending of a figure.

    Args:
        option: string, how the path was given.
        path: path of the output.
        force: boolean, whether an existing file may be replaced.
    """
    if path.suffix.lower() not in PLOT_ENDINGS:
        raise CommandError(f"`{option}` must end in {', '.join(PLOT_ENDINGS)}, but is {path}.")
    check_output(path, force)
