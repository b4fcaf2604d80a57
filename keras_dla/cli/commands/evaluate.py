"""`keras-dla evaluate`: COCO's average precision and recall of a detector."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_dla.cli.command import Commands, new_command, options
from keras_dla.cli.errors import CommandError
from keras_dla.cli.options.files import add_force_option, check_output, file_argument
from keras_dla.cli.options.imports import add_import_option
from keras_dla.cli.options.networks import load_network
from keras_dla.cli.options.normalization import add_normalization_options
from keras_dla.cli.options.preparation import add_side_options, image_preparation
from keras_dla.cli.report_folder import check_report_folder, write_report
from keras_dla.cli.terminal import print_json, tell
from keras_dla.utils.files import replacing

if TYPE_CHECKING:
    import keras

    from keras_dla.data import CocoSource, DetectionDataset

PRINTED = Path("-")  # `--json` without a file
TEXT = """\
AP is average precision, averaged over the overlaps (IoU) 0.5, 0.55, ..., 0.95; AP50 and AP75 are
for one overlap. AP_S, AP_M and AP_L are for objects below 32x32 pixels, up to 96x96, and above.
AR1, AR10 and AR100 are average recall with at most 1, 10 and 100 detections per class and image. A
dash means that there are no such objects.

--plots writes each class's precision-recall curve and the confusion matrix, as figures and as
numbers (.csv).

Images are resized so that the shorter side has --shorter-side pixels, or fewer if the longer side
would exceed --longer-side. Both must be as in training, or the results are too low. Detectors are
saved with these sizes and with their normalisation. One that was saved by an older version needs
--shorter-side, and its images are normalised by ImageNet's mean and deviation unless --normalize,
or --mean and --std, are given. A RetinaNet pads images to its fixed size. Classes are matched by
name, or in the order of the file's ids if the detector has no names.

  keras-dla evaluate retinanet.keras --annotations test.json --images images --by-class
  keras-dla evaluate mask_rcnn.keras --annotations val.json --images val2017 --masks \\
      --shorter-side 800
"""


def add_parser(commands: Commands) -> None:
    """Adds the command to the program."""
    parser = new_command(
        commands,
        "evaluate",
        run,
        "evaluate a detector with COCO's metrics",
        TEXT,
        typed=options(
            "annotations", "images", "batch_size", "shorter_side", "longer_side", "masks"
        ),
    )
    add_import_option(parser)
    file_argument(parser, "file", metavar="MODEL", help="the detector, a .keras file")
    file_argument(
        parser,
        "--annotations",
        required=True,
        metavar="FILE",
        help="annotations in COCO's JSON format",
    )
    file_argument(
        parser,
        "--images",
        folder=True,
        required=True,
        metavar="DIR",
        help="folder of the images",
    )
    parser.add_argument("--masks", action="store_true", help="evaluate masks as well as boxes")
    parser.add_argument(
        "--batch-size", type=int, default=2, metavar="N", help="images per batch (default: 2)"
    )
    add_side_options(parser)
    parser.add_argument("--by-class", action="store_true", help="also print one line per class")
    file_argument(
        parser,
        "--json",
        nargs="?",
        const=PRINTED,
        type=Path,
        metavar="FILE",
        help="print JSON instead of the table, or with FILE, also write JSON to it",
    )
    file_argument(
        parser,
        "--plots",
        folder=True,
        type=Path,
        metavar="DIR",
        help="write precision-recall curves and the confusion matrix to this folder",
    )
    # The old name of `--plots`, which keeps working for one release.
    parser.add_argument("--pictures", type=Path, dest="plots", help=argparse.SUPPRESS)
    parser.add_argument(
        "--score",
        type=float,
        default=0.5,
        help="lowest score of a detection that enters the confusion matrix (default: 0.5)",
    )
    add_force_option(parser)
    add_normalization_options(parser)


def run(arguments: argparse.Namespace) -> None:
    """Prints the table, and writes the figures."""
    if arguments.json not in (None, PRINTED):
        check_output(arguments.json, arguments.force)
    if not 0 <= arguments.score <= 1:
        raise CommandError(f"`--score` must be from 0 to 1, but is {arguments.score}.")
    if arguments.plots is not None:
        check_report_folder(arguments.plots, arguments.force)
    from keras_dla.data import CocoSource

    source = CocoSource(arguments.annotations, arguments.images, masks=arguments.masks)
    from keras_dla.detection import coco_table, coco_table_by_class, detection_report

    model = load_network(arguments.file)
    dataset = _dataset(arguments, model, source)
    assert dataset.padded_shape is not None  # `_dataset` gives one
    height, width = dataset.padded_shape
    tell(f"Running {model.name} on {len(source)} images, padded to {height} x {width} ...")
    report = detection_report(_Telling(model, len(dataset)), dataset, arguments.score)
    figures = report.figures
    if arguments.plots is not None:
        write_report(report, arguments.plots)
    if arguments.json == PRINTED:
        print_json(figures)
        return
    print(coco_table(figures))
    if arguments.by_class:
        print(coco_table_by_class(figures, source.class_names))
    if arguments.json is not None:
        _write(arguments.json, figures)


def _dataset(
    arguments: argparse.Namespace, model: "keras.Model", source: "CocoSource"
) -> "DetectionDataset":
    from keras_dla.data import DetectionDataset, common_padded_shape

    chosen = image_preparation(arguments, model)
    sides: dict[str, Any] = {"shorter_side": chosen.shorter_side, "longer_side": chosen.longer_side}
    return DetectionDataset(
        source,
        arguments.batch_size,
        **sides,
        # One shape: JAX compiles one program, and TensorFlow knows the size.
        padded_shape=getattr(model, "image_shape", None) or common_padded_shape(source, **sides),
        flip=0,
        shuffle=False,
        mean=chosen.mean,
        std=chosen.std,
        data_format=model.data_format,
    )


class _Telling:
    """A detector that reports its progress, ten times in all."""

    def __init__(self, model: "keras.Model", batches: int):
        self.model, self.batches, self.done = model, batches, 0
        self.classes = getattr(model, "classes", None)
        self.class_names = getattr(model, "class_names", None)

    def predict_on_batch(self, x: Any) -> dict[str, Any]:
        detections = self.model.predict_on_batch(x)
        before, self.done = self.done, self.done + 1
        if 10 * before // self.batches < 10 * self.done // self.batches:
            tell(f"{self.done} of {self.batches} batches ...")
        return detections


def _write(path: Path, figures: Mapping[str, float]) -> None:
    with replacing(path) as partial:
        partial.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    tell(f"wrote {path}")
