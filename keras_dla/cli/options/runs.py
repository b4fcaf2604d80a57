"""Run folders on the command line."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_dla.cli.errors import CommandError, as_sentence
from keras_dla.cli.options.files import file_argument
from keras_dla.cli.terminal import tell

if TYPE_CHECKING:
    from keras_dla.training import Experiment, Result


def add_run_folders(parser: Any) -> None:
    """Adds the argument for run folders."""
    file_argument(
        parser,
        "folders",
        folder=True,
        nargs="+",
        type=Path,
        metavar="FOLDER",
        help="run folders, or folders that contain them",
    )


def finished_runs(folders: Iterable[Path]) -> list["Result"]:
    """Returns the finished runs, and prints which folders are left out and why.

    Args:
        folders: iterable of paths of run folders, or of folders that contain them.

    Raises:
        CommandError: when there is none.
    """
    results = _readable([path.resolve() for folder in folders for path in _runs_in(folder)])
    for folder, result in results.items():
        if not result.is_finished:
            total = result.experiment.epochs
            tell(f"{folder.name} is left out: {len(result.history)} of {total} epochs are done.")
    finished = _without_repeats({f: result for f, result in results.items() if result.is_finished})
    if not finished:
        raise CommandError("FOLDER must contain a finished run, but there is none.")
    return finished


def _readable(folders: Iterable[Path]) -> dict[Path, "Result"]:
    """Leaves out folders that this program did not write or that are damaged."""
    from keras_dla.training import read_result

    results: dict[Path, Result] = {}
    for folder in dict.fromkeys(folders):
        try:
            results[folder] = read_result(folder)
        except (ValueError, OSError) as error:
            tell(f"{folder.name} is left out: {as_sentence(error)}")
    return results


def _without_repeats(results: dict[Path, "Result"]) -> list["Result"]:
    """Leaves out repeated runs of the same experiment with the same seed."""
    first: dict[Experiment, Path] = {}
    for folder, result in results.items():
        earlier = first.setdefault(result.experiment, folder)
        if earlier != folder:
            tell(f"{folder.name} is left out: {earlier.name} is the same experiment.")
    return [results[folder] for folder in first.values()]


def _runs_in(folder: Path) -> list[Path]:
    """Returns the folder itself if it is a run, else the runs directly in it."""
    if (folder / "settings.json").is_file():
        return [folder]
    inside = sorted(path.parent for path in folder.glob("*/settings.json"))
    if not inside:
        raise CommandError(f"{folder} must be or contain a run folder, which has a settings.json.")
    return inside
