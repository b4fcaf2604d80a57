"""What a command prints: results on standard output, everything else on standard error."""

import json
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import track

from keras_dla.utils.text_table import Row, as_markdown, as_text, rich_table

Item = TypeVar("Item")
PAUSE = 10.0  # seconds between two lines of progress where a bar cannot be drawn


def tell(text: str) -> None:
    """Prints a line on standard error, so that standard output contains only the result."""
    print(text, file=sys.stderr, flush=True)


def progress(items: Iterable[Item], total: int, text: str) -> Iterator[Item]:
    """Yields items one by one, and shows on standard error how many are done.

    A terminal shows a bar, which disappears at the end; a file or a pipe gets a line at the start
    and another every ten seconds.

    Args:
        items: iterable whose items take time.
        total: integer, how many items there are.
        text: string, what is being done.
    """
    if sys.stderr.isatty():
        bar = Console(stderr=True)
        yield from track(items, text, total, transient=True, console=bar)
        return
    tell(f"{text} ...")
    last = time.monotonic()
    for done, item in enumerate(items):
        if time.monotonic() - last > PAUSE:
            last = time.monotonic()
            tell(f"{text}: {done} of {total} done ...")
        yield item


def print_table(header: Row, rows: Iterable[Row], left: int, markdown: bool = False) -> None:
    """Prints a table, fitted to the width of the terminal; at full width if there is none.

    Args:
        header: sequence of strings, the columns' names.
        rows: iterable of sequences of strings, one per column.
        left: integer, how many columns are left-aligned.
        markdown: boolean, whether to print Markdown; defaults to `False`.
    """
    if markdown:
        print(as_markdown(header, rows, left))
    elif sys.stdout.isatty():
        Console().print(rich_table(header, rows, left))
    else:
        print(as_text(header, rows, left))


def print_json(value: Any) -> None:
    """Prints a value as JSON.

    Args:
        value: nested dictionaries, lists, strings, numbers and `None`.
    """
    print(json.dumps(value, indent=2, allow_nan=False))
