"""`keras-dla evaluate`: COCO's average precision of a detector."""

import json
from pathlib import Path

from keras_dla.cli.commands import new_command
from keras_dla.cli.errors import CommandError
from keras_dla.cli.networks import load_network
from keras_dla.cli.normalization import add_normalization_options, statistics
from keras_dla.cli.outputs import add_force_option, check_output
from keras_dla.cli.progress import tell

# MMDetection's sides of an image, for detectors that read any size.
SHORTER_SIDE, LONGER_SIDE = 800, 1333
TEXT = """\
AP is the mean over the overlaps 0.5, 0.55, ..., 0.95; AP50 and AP75 are at one overlap; AP_S,
AP_M and AP_L count objects of less than 32x32 pixels, up to 96x96, and larger. A dash stands
where there are no such objects.

Images are resized as in training: their shorter side to --shorter-side, less where the longer one
would exceed --longer-side. A detector of one size pads its images to that. They are normalised by
ImageNet's mean and deviation unless --normalize, or --mean and --std, say otherwise. The classes
are the file's categories by ascending id, as they were in training.

  keras-dla evaluate retinanet.keras --annotations test.json --images images --by-class
  keras-dla evaluate mask_rcnn.keras --annotations instances_val2017.json --images val2017 --masks
"""


def add_parser(commands) -> None:
    """Adds the command to the program."""
    parser = new_command(commands, "evaluate", run, "measure a detector as COCO does", TEXT)
    parser.add_argument("file", metavar="MODEL", help="the detector, a .keras file")
    parser.add_argument(
        "--annotations", required=True, metavar="FILE", help="the objects, in COCO's JSON format"
    )
    parser.add_argument("--images", required=True, metavar="DIR", help="folder of the images")
    parser.add_argument("--masks", action="store_true", help="evaluate masks as well as boxes")
    parser.add_argument("--batch-size", type=int, default=2, help="images at once (default: 2)")
    parser.add_argument(
        "--shorter-side",
        type=int,
        metavar="PIXELS",
        help=f"default: the detector's, else {SHORTER_SIDE}",
    )
    parser.add_argument(
        "--longer-side",
        type=int,
        metavar="PIXELS",
        help=f"default: the detector's, else {LONGER_SIDE}",
    )
    parser.add_argument("--by-class", action="store_true", help="print a line for every class")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    add_force_option(parser)
    add_normalization_options(parser)


def run(arguments) -> None:
    """Prints the table, and writes the figures."""
    if arguments.json is not None:
        check_output(arguments.json, arguments.force)
    from keras_dla.data import CocoSource

    source = CocoSource(arguments.annotations, arguments.images, masks=arguments.masks)
    from keras_dla.detection import coco_table, coco_table_by_class, evaluate_coco

    model = load_network(arguments.file)
    dataset = _dataset(arguments, model, source)
    tell(f"Running {model.name} on {len(source)} images ...")
    figures = evaluate_coco(_Telling(model, len(dataset)), dataset, by_class=True)
    print(coco_table(figures))
    if arguments.by_class:
        print(coco_table_by_class(figures, source.class_names))
    if arguments.json is not None:
        _write(arguments.json, figures)


def _dataset(arguments, model, source):
    from keras_dla.data import DetectionDataset

    if not hasattr(model, "data_format"):
        raise CommandError(f"{arguments.file} must be a detector, but is {model.name}.")
    if not any((arguments.normalize, arguments.mean, arguments.std)):
        arguments.normalize = "imagenet"
    mean, std = statistics(arguments, channels=3)
    padded = getattr(model, "image_shape", None)
    shorter, longer = arguments.shorter_side, arguments.longer_side
    shorter = min(padded or (SHORTER_SIDE,)) if shorter is None else shorter
    longer = max(padded or (LONGER_SIDE, shorter)) if longer is None else longer
    return DetectionDataset(
        source,
        arguments.batch_size,
        shorter_side=shorter,
        longer_side=longer,
        padded_shape=padded,
        flip=0,
        shuffle=False,
        mean=mean,
        std=std,
        data_format=model.data_format,
    )


class _Telling:
    """A detector that tells how far it is, ten times in all."""

    def __init__(self, model, batches):
        self.model, self.batches, self.done = model, batches, 0

    def predict_on_batch(self, x):
        detections = self.model.predict_on_batch(x)
        before, self.done = self.done, self.done + 1
        if 10 * before // self.batches < 10 * self.done // self.batches:
            tell(f"{self.done} of {self.batches} batches ...")
        return detections


def _write(path, figures):
    from keras_dla.files import replacing

    with replacing(path) as partial:
        partial.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    tell(f"wrote {path}")
