"""`keras-dla tables`: the paper's tables of parameters and FLOPs beside our counts."""

import argparse

from keras_dla.cli.command import Commands, new_command
from keras_dla.cli.errors import CommandError
from keras_dla.cli.terminal import tell
from keras_dla.utils.names import COUNTED_TABLES

TEXT = """\
Builds the networks of the tables, which takes minutes for Tables 1 and 2. "met" says whether our
count, rounded as in the paper, equals the printed one; notes below a table explain the cases
where it does not.

  keras-dla tables 4
  keras-dla tables 2 --markdown > table2.md
"""


def add_parser(commands: Commands) -> None:
    """Adds the command to the program."""
    parser = new_command(
        commands,
        "tables",
        run,
        "print the paper's parameter and FLOP counts beside ours",
        TEXT,
    )
    parser.add_argument(
        "tables",
        nargs="*",
        type=int,
        metavar="TABLE",
        help="1 (CIFAR), 2 (ImageNet), 4 (units of DLA) and 6 (LII) (default: all of them)",
    )
    parser.add_argument("--markdown", action="store_true", help="print the tables as Markdown")


def run(arguments: argparse.Namespace) -> None:
    """Prints each table as soon as its networks are counted."""
    for table in arguments.tables:
        if table not in COUNTED_TABLES:
            raise CommandError(
                f"TABLE must be one of {', '.join(map(str, COUNTED_TABLES))}, but is {table}."
            )
    from keras_dla.analysis.paper import paper_tables
    from keras_dla.analysis.paper import published_costs as published

    form = paper_tables.table_markdown if arguments.markdown else paper_tables.table_text
    for number in arguments.tables or COUNTED_TABLES:
        tell(f"Table {number}: counting {len(published.rows(number))} networks ...")
        print(form(number, paper_tables.paper_table(number)), end="\n\n", flush=True)
