"""Tables for a terminal and in Markdown."""

from collections.abc import Sequence

Row = Sequence[str]


def as_text(header: Row, rows: Sequence[Row], left: int) -> str:
    """Returns aligned columns between rules, the first `left` columns flush left.

    Example:
    >>> print(as_text(("name", "size"), [("stem", "7"), ("head", "12")], left=1))
    ----------
    name  size
    ----------
    stem     7
    head    12
    ----------
    """
    lines = aligned([header, *rows], left)
    rule = "-" * len(lines[0])
    return "\n".join([rule, lines[0], rule, *lines[1:], rule])


def aligned(rows: Sequence[Row], left: int) -> list[str]:
    """Returns a line for every row, all of one length, the first `left` columns flush left.

    Example:
    >>> aligned([("stem", "7"), ("head", "12")], left=1)
    ['stem   7', 'head  12']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(_cells(row, widths, left)) for row in rows]


def _cells(row, widths, left):
    for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
        yield cell.ljust(width) if column < left else cell.rjust(width)


def as_markdown(header: Row, rows: Sequence[Row], left: int) -> str:
    """Returns the same table in Markdown.

    Example:
    >>> print(as_markdown(("name", "size"), [("stem", "7")], left=1))
    | name | size |
    | --- | ---: |
    | stem | 7 |
    """
    marks = ["---" if column < left else "---:" for column in range(len(header))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, marks, *rows))
