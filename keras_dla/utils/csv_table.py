"""Tables in CSV files."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from keras_dla.utils.files import replacing


def write_log(path: Path, rows: list[dict]) -> None:
    """Writes a CSV file anew, so that it has exactly these rows.

    Args:
        path: `pathlib.Path`, the file to write or replace.
        rows: list of dictionaries of values by column. Columns stand in the order of their first
            appearance; a row that lacks one leaves it empty.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    write_csv(path, columns, ([row.get(name) for name in columns] for row in rows))


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Writes a CSV file, as a whole or not at all.

    Args:
        path: `pathlib.Path`, the file to write or replace.
        header: sequence of strings, the columns' names.
        rows: iterable of sequences of values, as many as columns; `None` is an empty cell.
    """
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
