"""`keras-dla detect`: boxes drawn on photographs."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_dla.cli.command import Commands, new_command, options
from keras_dla.cli.errors import CommandError
from keras_dla.cli.options.files import (
    add_output_options,
    check_free,
    check_output_folder,
    file_argument,
)
from keras_dla.cli.options.image_files import image_paths
from keras_dla.cli.options.imports import add_import_option
from keras_dla.cli.options.networks import load_network
from keras_dla.cli.options.normalization import add_normalization_options
from keras_dla.cli.options.preparation import add_side_options, image_preparation
from keras_dla.cli.terminal import tell
from keras_dla.utils.csv_table import write_csv
from keras_dla.utils.files import replacing

if TYPE_CHECKING:
    import numpy as np

    from keras_dla.detection.detect import Detections

TEXT = """\
Draws what the detector finds in each photograph, at its original size, and writes the drawings to
the output folder under the photographs' names. A folder stands for all images in it. Photographs
are turned upright, then resized and normalised as in training; a detector that was saved without
these settings needs --shorter-side.

--json writes detections.json in COCO's results format: bbox is x, y, width, height in pixels of the
upright photograph, and category_id counts the detector's classes from 1. --csv writes
detections.csv with one line per detection.

  keras-dla detect best.keras photo.jpg -o found
  keras-dla detect best.keras holiday/ -o found --json --csv --score 0.7
"""
COLUMNS = ("file", "class", "score", "x1", "y1", "x2", "y2")


def add_parser(commands: Commands) -> None:
    """Adds the command to the program."""
    parser = new_command(
        commands,
        "detect",
        run,
        "detect objects in photographs",
        TEXT,
        typed=options("score", "shorter_side", "longer_side"),
    )
    file_argument(parser, "file", metavar="MODEL", help="the detector, a .keras file")
    file_argument(
        parser, "images", metavar="IMAGE", nargs="+", help="photographs, or folders of them"
    )
    add_output_options(parser, "DIR", "folder for the results", folder=True)
    parser.add_argument(
        "--score",
        type=float,
        default=0.5,
        help="lowest score of a detection that is drawn or written (default: 0.5)",
    )
    parser.add_argument("--json", action="store_true", help="also write detections.json")
    parser.add_argument("--csv", action="store_true", help="also write detections.csv")
    add_side_options(parser)
    add_import_option(parser)
    add_normalization_options(parser)


def run(arguments: argparse.Namespace) -> None:
    """Draws the detections on each photograph as soon as they are known, and writes the tables."""
    if not 0 <= arguments.score <= 1:
        raise CommandError(f"`--score` must be from 0 to 1, but is {arguments.score}.")
    paths = image_paths(arguments.images)
    outputs = _outputs(paths, arguments)
    model = load_network(arguments.file)
    preparation = image_preparation(arguments, model)
    from keras_dla.detection.detect import as_pixels, detect_in, preparation_of
    from keras_dla.detection.drawing import draw_detections

    preparation = preparation_of(model, preparation)
    arguments.output.mkdir(exist_ok=True)
    results: list[dict[str, Any]] = []
    unread = []
    for number, (path, output) in enumerate(zip(paths, outputs, strict=True), start=1):
        try:
            pixels = as_pixels(path)
        except ValueError as error:
            unread.append(path)
            tell(f"left out: {error}")
            continue
        found = detect_in(model, pixels, arguments.score, preparation)
        _write_image(output, draw_detections(pixels, found))
        results += _results(number, path, found)
        tell(f"{number} of {len(paths)}  {path}: {_summary(found)}")
    _write_tables(arguments, results)
    if unread:
        raise CommandError(f"{len(unread)} of {len(paths)} images were left out: {unread[0]} ...")


def _outputs(paths: Sequence[Path], arguments: argparse.Namespace) -> list[Path]:
    """Returns the file of each result, and raises `CommandError` if one must not be written."""
    folder = arguments.output
    check_output_folder("--output", folder)
    outputs: list[Path] = []
    for number, path in enumerate(paths, start=1):
        suffix = path.suffix if path.suffix.lower() in (".jpg", ".jpeg", ".png") else ".png"
        output = folder / (path.stem + suffix)
        if output in outputs:
            output = folder / f"{path.stem}-{number}{suffix}"
        outputs.append(output)
    tables = [folder / f"detections.{form}" for form in ("json", "csv") if getattr(arguments, form)]
    for output, path in zip(outputs, paths, strict=True):
        if output.resolve() == path.resolve():
            raise CommandError(
                f"`--output` must not be the folder of {path}, which would be overwritten."
            )
    for output in [*outputs, *tables]:
        check_free(output, arguments.force)
    return outputs


def _write_image(path: Path, pixels: "np.ndarray") -> None:
    from PIL import Image

    with replacing(path) as partial:
        Image.fromarray(pixels).save(partial, quality=92)


def _results(number: int, path: Path, found: "Detections") -> list[dict[str, Any]]:
    """Returns the detections in COCO's results format, with the names of file and class."""
    results = []
    for index in range(len(found)):
        x1, y1, x2, y2 = found.boxes[index].tolist()
        result = {
            "image_id": number,
            "file_name": str(path),
            "category_id": int(found.classes[index]) + 1,
            "category": found.names[index],
            "score": float(found.scores[index]),
            "bbox": [x1, y1, x2 - x1, y2 - y1],
        }
        if found.masks is not None:
            from keras_dla.detection.coco.results import run_lengths

            result["segmentation"] = run_lengths(found.masks[index])
        results.append(result)
    return results


def _summary(found: "Detections") -> str:
    counts = {name: found.names.count(name) for name in sorted(set(found.names))}
    return ", ".join(f"{number} {name}" for name, number in counts.items()) or "nothing"


def _write_tables(arguments: argparse.Namespace, results: list[dict[str, Any]]) -> None:
    if arguments.json:
        with replacing(arguments.output / "detections.json") as partial:
            partial.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if arguments.csv:
        write_csv(arguments.output / "detections.csv", COLUMNS, map(_row, results))


def _row(result: dict[str, Any]) -> list:
    x, y, width, height = result["bbox"]
    edges = [round(edge, 2) for edge in (x, y, x + width, y + height)]
    return [result["file_name"], result["category"], round(result["score"], 4), *edges]
