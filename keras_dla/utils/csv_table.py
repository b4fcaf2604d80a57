"""The table of a run, one row per epoch."""

import csv
from pathlib import Path

from keras_dla.utils.files import replacing


def write_log(path: Path, rows: list[dict]) -> None:
    """Writes a CSV file anew, so that it has exactly these rows.

    Args:
        path: `pathlib.Path`, the file to write or replace.
        rows: list of dictionaries of values by column. Columns stand in the order of their first
            appearance; a row that lacks one leaves it empty.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
