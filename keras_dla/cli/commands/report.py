"""`keras-dla report`: finished runs as a table, and as the paper's Figure 4."""

import argparse
from pathlib import Path

from keras_dla.cli.accuracy_table import print_accuracies
from keras_dla.cli.command import Commands, new_command
from keras_dla.cli.options.files import add_force_option, check_plot, file_argument
from keras_dla.cli.options.runs import add_run_folders, finished_runs
from keras_dla.cli.terminal import tell

TEXT = """\
FOLDER is a run or contains runs; only settings.json and log.csv are read. Left out are unfinished
runs, damaged folders, folders of other programs, and a second run of the same seed. Runs that
differ only in their seed share one row. The figure needs runs that differ only in network, unit,
data set and seed.

  keras-dla report runs
  keras-dla report runs/cifar100-* --markdown > results.md
  keras-dla report runs --figure figure4.png
"""


def add_parser(commands: Commands) -> None:
    """Adds the command to the program."""
    parser = new_command(
        commands,
        "report",
        run,
        "compare finished runs with the published accuracies",
        TEXT,
        typed={"runs": "FOLDER"},
    )
    add_run_folders(parser)
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    file_argument(
        parser,
        "--figure",
        type=Path,
        metavar="FILE",
        help="also plot accuracy over depth: .png, .pdf or .svg",
    )
    add_force_option(parser)


def run(arguments: argparse.Namespace) -> None:
    """Prints the table, and writes the figure if asked for."""
    figure = arguments.figure
    if figure is not None:
        check_plot("--figure", figure, arguments.force)
    results = finished_runs(arguments.folders)
    if figure is not None:
        from keras_dla.analysis import figure_4

        figure_4(results, figure)
        tell(f"wrote {figure}")
    print_accuracies(results, arguments.markdown)
