"""Tables for a terminal (by rich), as plain text and as Markdown."""

import io
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

Row = Sequence[str]
# Only an ASCII rule below the header, so that a file or a pipe may have any encoding.
UNDERLINED = box.Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)
WIDEST = 100_000  # characters: plain text is never wrapped


def rich_table(header: Row, rows: Iterable[Row], left: int) -> Table:
    """Returns a table that `rich` fits to the terminal.

    Args:
        header: sequence of strings, the columns' names.
        rows: iterable of sequences of strings, one per column.
        left: integer, the number of left-aligned columns; the others are right-aligned.

    Example:
    >>> rich_table(("name", "size"), [("stem", "7")], left=1).row_count
    1
    """
    table = Table(box=UNDERLINED, show_edge=False, pad_edge=False, collapse_padding=True)
    for number, name in enumerate(header):
        table.add_column(Text(name), justify="left" if number < left else "right")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def as_text(header: Row, rows: Iterable[Row], left: int) -> str:
    """Returns the table of `rich_table` as plain text, each row on one line.

    Args:
        header: sequence of strings, the columns' names.
        rows: iterable of sequences of strings, one per column.
        left: integer, the number of left-aligned columns; the others are right-aligned.

    Example:
    >>> print(as_text(("name", "size"), [("stem", "7"), ("head", "12")], left=1))
    name  size
    ----------
    stem     7
    head    12
    """
    console = Console(file=io.StringIO(), width=WIDEST, color_system=None, legacy_windows=False)
    with console.capture() as printed:
        console.print(rich_table(header, rows, left))
    return "\n".join(line.rstrip() for line in printed.get().splitlines())


def as_markdown(header: Row, rows: Iterable[Row], left: int) -> str:
    """Returns the same table in Markdown.

    Args:
        header: sequence of strings, the columns' names.
        rows: iterable of sequences of strings, one per column.
        left: integer, the number of left-aligned columns; the others are right-aligned.

    Example:
    >>> print(as_markdown(("name", "size"), [("stem", "7")], left=1))
    | name | size |
    | --- | ---: |
    | stem | 7 |
    """
    marks = ["---" if column < left else "---:" for column in range(len(header))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, marks, *rows))
