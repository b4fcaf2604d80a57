"""The user's own files, whose layers `keras_dla.layers.register_interaction` names."""

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from keras_dla.cli.errors import CommandError
from keras_dla.cli.options.files import file_argument


def add_import_option(parser: argparse.ArgumentParser) -> None:
    """Adds `--import FILE`, which may be given several times."""
    file_argument(
        parser,
        "--import",
        dest="imports",
        action="append",
        default=[],
        metavar="FILE",
        help="first run a Python file of your own, which registers layers "
        "(keras_dla.layers.register_interaction)",
    )


def import_files(paths: Sequence[str]) -> None:
    """Runs the files, each once per process.

    Args:
        paths: sequence of strings, the files.

    Raises:
        CommandError: when there is no such Python file, or it raises an error.
    """
    for path in map(Path, paths):
        if path.suffix != ".py" or not path.is_file():
            raise CommandError(f"`--import` must be an existing .py file, but is {path}.")
        # The processes of several devices find its classes under this module name.
        name = path.stem
        known = getattr(sys.modules.get(name), "__file__", None)
        if name in sys.modules and (known is None or not path.samefile(known)):
            raise CommandError(
                f"`--import` must be a file with a name that no other module has, but is {path}."
            )
        if name not in sys.modules:
            _import(path, name)


def _import(path: Path, name: str) -> None:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # as Python's import does
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise CommandError(
            f"running {path}, given by `--import`, raised {type(error).__name__}: {error}"
        ) from error
