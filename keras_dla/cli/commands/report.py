"""`keras-dla report`: finished runs as a table, and as the paper's Figure 4."""

import argparse
import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from keras_dla.cli.accuracy_table import print_accuracies
from keras_dla.cli.command import Commands, new_command
from keras_dla.cli.errors import CommandError, as_sentence
from keras_dla.cli.options.files import add_force_option, check_plot, file_argument
from keras_dla.cli.terminal import tell

if TYPE_CHECKING:
    from keras_dla.training import Experiment, Result

# What runs of one figure may differ in: it shows the first three, and takes means over the seeds.
MAY_DIFFER = ("dataset", "model", "unit", "seed")
TEXT = """\
FOLDER is a run, or holds runs. Of a run only settings.json and log.csv are read. Runs that are not
finished are left out, and so are folders of other programs, damaged ones, and a second run of the
same seed: it is no further sample. Runs that differ in their seed alone make one row; the figure
takes runs that differ in network, data set and seed alone.

  keras-dla report runs
  keras-dla report runs/cifar100-* --markdown > results.md
  keras-dla report runs --figure figure4.png
"""


def add_parser(commands: Commands) -> None:
    """Adds the command to the program."""
    parser = new_command(
        commands, "report", run, "set finished runs beside the published figures", TEXT
    )
    file_argument(
        parser,
        "folders",
        folder=True,
        nargs="+",
        type=Path,
        metavar="FOLDER",
        help="runs, or parents",
    )
    parser.add_argument("--markdown", action="store_true", help="write the table in Markdown")
    file_argument(
        parser,
        "--figure",
        type=Path,
        metavar="FILE",
        help="draw accuracy over depth: .png, .pdf or .svg",
    )
    add_force_option(parser)


def run(arguments: argparse.Namespace) -> None:
    """Prints the table, and writes the figure if asked for."""
    figure = arguments.figure
    if figure is not None:
        check_plot("--figure", figure, arguments.force)
    results = _finished(arguments.folders)
    if figure is not None:
        from keras_dla.analysis.plots.plot_depths import plot_depths

        plot_depths(_curves(results), figure)
        tell(f"wrote {figure}")
    print_accuracies(results, arguments.markdown)


def _finished(folders: Iterable[Path]) -> list["Result"]:
    results = _readable([path.resolve() for folder in folders for path in _runs_in(folder)])
    for folder, result in results.items():
        if not result.is_finished:
            total = result.experiment.epochs
            tell(f"{folder.name} is left out: {len(result.history)} of {total} epochs are done.")
    finished = _without_repeats({f: result for f, result in results.items() if result.is_finished})
    if not finished:
        raise CommandError("there is no finished run to report.")
    return finished


def _readable(folders: Iterable[Path]) -> dict[Path, "Result"]:
    """Leaves out what this program did not write, or what is damaged."""
    from keras_dla.training import read_result

    results: dict[Path, Result] = {}
    for folder in dict.fromkeys(folders):
        try:
            results[folder] = read_result(folder)
        except (ValueError, OSError) as error:
            tell(f"{folder.name} is left out: {as_sentence(error)}")
    return results


def _without_repeats(results: dict[Path, "Result"]) -> list["Result"]:
    """Leaves out runs of an experiment that another folder has already, seed and all."""
    first: dict[Experiment, Path] = {}
    for folder, result in results.items():
        earlier = first.setdefault(result.experiment, folder)
        if earlier != folder:
            tell(f"{folder.name} is left out: {earlier.name} is the same experiment.")
    return [results[folder] for folder in first.values()]


def _runs_in(folder: Path) -> list[Path]:
    """Returns the folder if it is a run, or the runs right in it."""
    if (folder / "settings.json").is_file():
        return [folder]
    inside = sorted(path.parent for path in folder.glob("*/settings.json"))
    if not inside:
        raise CommandError(f"there is no run in {folder}, which would have a settings.json.")
    return inside


def _curves(results: list["Result"]) -> dict[str, dict[str, dict[int, list[float]]]]:
    """Returns the accuracies in percent by data set, interaction (and unit) and depth."""
    _check_comparable(results)
    curves: dict[str, dict[str, dict[int, list[float]]]] = {}
    for result in results:
        experiment = result.experiment
        interaction, _, depth = experiment.model.rpartition("_")
        name = interaction if experiment.unit is None else f"{interaction}-{experiment.unit}"
        points = curves.setdefault(experiment.dataset, {}).setdefault(name, {})
        points.setdefault(int(depth), []).append(100 * result.accuracy)
    return curves


def _check_comparable(results: list["Result"]) -> None:
    """Raises `CommandError` where the figure would set unlike runs side by side."""
    for field in dataclasses.fields(results[0].experiment):
        values = {getattr(result.experiment, field.name) for result in results}
        if field.name not in MAY_DIFFER and len(values) > 1:
            listed = ", ".join(sorted(map(str, values)))
            raise CommandError(
                f"`--figure` must be given runs of one {field.name}, but these have {listed}."
            )
