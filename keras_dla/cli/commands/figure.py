"""`keras-dla figure`: the paper's figures from your own networks and runs."""

from keras_dla.cli.command import Commands, new_group
from keras_dla.cli.commands import figure_2, figure_4

TEXT = """\
  keras-dla figure 2 static.keras dynamic.keras --stage 3 -o figure2.svg
  keras-dla figure 4 runs -o figure4.svg

`keras-dla figure 2 --help` explains the first, `keras-dla figure 4 --help` the second.
"""


def add_parser(commands: Commands) -> None:
    """Adds the command to the program."""
    figures = new_group(commands, "figure", "draw Figure 2 or 4 of the paper", "FIGURE", TEXT)
    figure_2.add_parser(figures)
    figure_4.add_parser(figures)
