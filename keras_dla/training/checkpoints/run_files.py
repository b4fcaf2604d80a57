"""`best.keras` and `log.csv`, which follow from the last state and its history."""

import csv
import math
import shutil
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

from keras_dla.training.checkpoints.progress import BEST, LAST, LOG, Progress
from keras_dla.utils.csv_table import write_log
from keras_dla.utils.files import replacing
from keras_dla.utils.folder_lock import check_lock


def write_others(
    folder: Path, progress: Progress, monitor: str | None = "val_accuracy", mode: str = "max"
) -> None:
    """Makes `best.keras` and `log.csv` match the last state, which is saved between epochs.

    Args:
        folder: path of the run's folder.
        progress: the `Progress` of the last state.
        monitor: name of the metric that decides which epoch is best, or `None` for no `best.keras`;
            defaults to `"val_accuracy"`.
        mode: `"max"` or `"min"`, whether higher or lower values of `monitor` are better; defaults
            to `"max"`.
    """
    check_lock(folder)
    if monitor is not None:
        _keep_best(folder, [_score(row[monitor], mode) for row in progress.history])
    try:
        write_log(folder / LOG, progress.history)
    except OSError as error:
        raise OSError(
            f"{folder / LOG} cannot be written ({error.strerror or error}); {folder / LAST} "
            f"contains the state after epoch {progress.epochs}."
        ) from error


def mend(folder: Path, progress: Progress) -> None:
    """Writes a run's `best.keras` and `log.csv` again if they do not match its history.

    Args:
        folder: path of the run's folder.
        progress: the `Progress` of the last state.
    """
    try:
        matches = read_log(folder / LOG) == [numbers_of(row) for row in progress.history]
    except ValueError:
        matches = False
    if not (matches and zipfile.is_zipfile(folder / BEST)):
        write_others(folder, progress)


def read_log(path: Path) -> list[dict[str, float]]:
    """Reads a `log.csv` as numbers; returns an empty list if there is none.

    Args:
        path: path of the file.

    Raises:
        ValueError: when it is damaged: not a table of numbers, or not one row per epoch.
    """
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [numbers_of(row) for row in csv.DictReader(file)]
    except (ValueError, TypeError, csv.Error) as error:
        raise ValueError(f"{path} is damaged: {error}.") from error
    for epoch, row in enumerate(rows, start=1):
        missing = [name for name in ("epoch", "val_accuracy") if name not in row]
        if missing:
            raise ValueError(f"{path} is damaged: it must have a column {missing[0]!r}.")
        if row["epoch"] != epoch:
            raise ValueError(
                f"{path} is damaged: row {epoch} must be of epoch {epoch}, but is "
                f"of epoch {row['epoch']:g}."
            )
    return rows


def numbers_of(row: Mapping) -> dict[str, float]:
    """Returns a row of a history or a log with all of its values as floats."""
    return {name: float(value) for name, value in row.items()}


def _keep_best(folder: Path, scores: list[float]) -> None:
    """Copies the last state to `best.keras` if it is the best one.

    It copies the file on disk, so that a run that stopped between the two steps catches up when it
    continues.
    """
    *earlier, last = scores
    if all(last > score for score in earlier):
        with replacing(folder / BEST) as path:
            shutil.copyfile(folder / LAST, path)
    elif not zipfile.is_zipfile(folder / BEST):
        warnings.warn(
            f"{folder / BEST}, the model after epoch {scores.index(max(scores)) + 1}, is missing "
            "or damaged and cannot be restored; the next better epoch will be saved.",
            stacklevel=2,
        )


def _score(value: float, mode: str) -> float:
    if math.isnan(value):
        return -math.inf
    return value if mode == "max" else -value
