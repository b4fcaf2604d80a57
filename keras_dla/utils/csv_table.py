"""Tables as CSV files."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from keras_dla.utils.files import replacing


def write_log(path: Path, rows: list[dict]) -> None:
    """Writes or replaces a CSV file, so that it has exactly these rows.

    Args:
        path: `pathlib.Path`, the file to write or replace.
        rows: list of dictionaries of values by column. Columns are in the order of their first
            appearance; a missing value leaves the cell empty.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    write_csv(path, columns, ([row.get(name) for name in columns] for row in rows))


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Writes a CSV file, completely or not at all.

    Args:
        path: `pathlib.Path`, the file to write or replace.
        header: sequence of strings, the columns' names.
        rows: iterable of sequences with one value per column; `None` is an empty cell.
    """
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
