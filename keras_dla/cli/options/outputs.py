"""Files that a command writes."""

from pathlib import Path

from keras_dla.cli.errors import CommandError


def add_force_option(parser) -> None:
    """Adds the leave to replace what is there."""
    parser.add_argument("--force", action="store_true", help="replace the output if it exists")


def check_output(path: Path, force: bool) -> None:
    """Raises `CommandError` unless `path` may be written."""
    if not path.parent.is_dir():
        raise CommandError(f"there is no folder {path.parent} to write {path.name} to.")
    if path.is_dir():
        raise CommandError(f"{path} is a folder that exists; the output must have another name.")
    if path.exists() and not force:
        raise CommandError(f"{path} exists; `--force` replaces it.")
