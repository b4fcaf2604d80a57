"""`keras-dla figure 4`: test accuracy over depth of finished runs."""

import argparse

from keras_dla.cli.command import Commands, new_command
from keras_dla.cli.options.files import add_plot_options, check_plot
from keras_dla.cli.options.runs import add_run_folders, finished_runs

TEXT = """\
One panel per data set and one line per interaction, averaged over seeds, with the published
accuracies as dotted lines. FOLDER is a run or contains runs; they may differ only in network, data
set, unit and seed.

  keras-dla figure 4 runs -o figure4.svg
  keras-dla figure 4 runs/cifar100-* -o figure4.png --without-published
"""


def add_parser(commands: Commands) -> None:
    """Adds the figure to the command."""
    parser = new_command(
        commands,
        "4",
        run,
        "test accuracy over depth",
        TEXT,
        typed={"runs": "FOLDER"},
    )
    add_run_folders(parser)
    parser.add_argument(
        "--without-published", action="store_true", help="leave out the published accuracies"
    )
    add_plot_options(parser)


def run(arguments: argparse.Namespace) -> None:
    """Writes the figure, completely or not at all."""
    check_plot("--output", arguments.output, arguments.force)
    results = finished_runs(arguments.folders)
    from keras_dla.analysis import figure_4

    published = not arguments.without_published
    figure_4(results, arguments.output, title=arguments.title, published=published)
    print(f"wrote {arguments.output}")
