"""A folder with the figures and numbers of a detector's evaluation."""

import importlib.util
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_dla.cli.errors import CommandError
from keras_dla.cli.options.files import check_free, check_output_folder
from keras_dla.cli.terminal import tell
from keras_dla.utils.csv_table import write_csv

if TYPE_CHECKING:
    from keras_dla.detection import DetectionReport

CURVES, CONFUSION, CLASSES = "precision_recall", "confusion", "by_class"
FILES = (f"{CURVES}.png", f"{CURVES}.csv", f"{CONFUSION}.png", f"{CONFUSION}.csv", f"{CLASSES}.csv")


def check_report_folder(folder: Path, force: bool) -> None:
    """Raises `CommandError` unless the files of a report may be written to `folder`."""
    check_output_folder("--plots", folder)
    for name in FILES:
        check_free(folder / name, force)
    if importlib.util.find_spec("matplotlib") is None:
        raise CommandError("`--plots` needs matplotlib: pip install 'keras-dla[plot]'")


def write_report(report: "DetectionReport", folder: Path) -> None:
    """Writes the curves, the confusion matrix and the figures of every class."""
    from keras_dla.analysis import plot_confusion, plot_precision_recall

    folder.mkdir(exist_ok=True)
    plot_precision_recall(report, folder / f"{CURVES}.png")
    plot_confusion(report, folder / f"{CONFUSION}.png")
    header = ("kind", "overlap", "class", "recall", "precision")
    write_csv(folder / f"{CURVES}.csv", header, _curves(report))
    found = [*report.class_names, "nothing"]
    rows = ([name, *row] for name, row in zip(found, report.confusion.tolist(), strict=True))
    write_csv(folder / f"{CONFUSION}.csv", ("there", *found), rows)
    first = f" of {report.class_names[0]}"
    measured = [name.removesuffix(first) for name in report.figures if name.endswith(first)]
    of_classes = (
        [name, *(report.figures[f"{figure} of {name}"] for figure in measured)]
        for name in report.class_names
    )
    write_csv(folder / f"{CLASSES}.csv", ("class", *measured), of_classes)
    tell(f"wrote {folder}")


def _curves(report: "DetectionReport") -> Iterable[Sequence[Any]]:
    """Yields every class's precision for the overlaps 0.5 and 0.75."""
    for kind, precisions in report.precisions.items():
        for step in (0, 5):
            for number, name in enumerate(report.class_names):
                values = precisions[step, :, number]
                for recall, precision in zip(report.recalls, values, strict=True):
                    if precision > -1:
                        overlap = 0.5 + 0.05 * step
                        yield kind, overlap, name, round(recall, 2), round(precision, 6)
