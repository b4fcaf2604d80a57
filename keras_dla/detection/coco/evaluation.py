"""COCO's average precision and recall of a detector."""

from typing import Any, NamedTuple

import keras

from keras_dla.detection.coco.accumulation import (
    Accumulated,
    accumulate,
    has_masks,
    with_all_segmentations,
)
from keras_dla.detection.coco.results import Found, import_pycocotools, run_detector
from keras_dla.detection.validation import check_classes


def evaluate_coco(model: keras.Model, dataset: Any, by_class: bool = False) -> dict[str, float]:
    """Returns the average precision and recall of a detector as COCO defines them, from 0 to 1.

    `AP` is the mean over the classes and over the overlaps 0.5, 0.55, ..., 0.95 that a detection
    must have with the object, `AP50` and `AP75` are at one overlap, and `AP_S`, `AP_M` and `AP_L`
    count the objects of less than 32^2 pixels, up to 96^2, and larger. `AR1`, `AR10` and `AR100`
    are the largest recall with at most 1, 10 and 100 detections of a class per image, averaged in
    the same way, and `AR_S`, `AR_M` and `AR_L` the recall with 100 by size. Detections that match
    crowds are ignored. A figure for which there are no objects is -1, as in pycocotools; a class
    without objects does not count in the mean.

    Args:
        model: a detector; any object whose `predict_on_batch(x)` returns detections as described in
            `keras_dla.detection.coco.results`.
        dataset: `keras_dla.data.DetectionDataset`, of which every image counts once.
        by_class: boolean, whether to add the figures of every class: `"AP of cell"`, `"AP50 of
            cell"`, `"AR100 of cell"`; defaults to `False`.

    Returns:
        A dictionary with `"AP"`, `"AP50"`, `"AP75"`, `"AP_S"`, `"AP_M"`, `"AP_L"`, `"AR1"`,
        `"AR10"`, `"AR100"`, `"AR_S"`, `"AR_M"` and `"AR_L"` of the boxes; and, if the detector
        gives masks and the source has some, the same for masks: `"mask_AP"`, ... An object with an
        empty segmentation counts as one that no mask matches.

    Raises:
        ImportError: if pycocotools is not installed.
        ValueError: if `model` returns no detections, or `dataset` has a class that the model lacks.

    Example:
    >>> from keras_dla.detection import FasterRCNN, evaluate_coco
    >>> from keras_dla.data import DetectionDataset, ShapesSource
    >>> from keras_dla.models import ResNet
    >>> options = {"include_top": False, "data_format": "channels_last"}
    >>> backbone = ResNet((1, 1, 1), "dla_l", stem="imagenet", planes=(8, 8, 8), **options)
    >>> model = FasterRCNN(backbone, 3, channels=8, head_units=16, data_format="channels_last")
    >>> size = {"shorter_side": 64, "padded_shape": (64, 64), "data_format": "channels_last"}
    >>> data = DetectionDataset(ShapesSource(2, 64), 2, flip=0, shuffle=False, **size)
    >>> sorted(evaluate_coco(model, data))[:6]
    ['AP', 'AP50', 'AP75', 'AP_L', 'AP_M', 'AP_S']
    """
    return coco_figures(measure(model, dataset), dataset.source, by_class)


class Measured(NamedTuple):
    """A detector's results and their evaluation.

    Args:
        found: `keras_dla.detection.coco.results.Found`.
        truth: dictionary, the data in COCO's format.
        kinds: dictionary of `Accumulated`: for boxes under `""`, and for masks under `"mask_"`.
    """

    found: Found
    truth: dict
    kinds: dict[str, Accumulated]


def measure(model: keras.Model, dataset: Any) -> Measured:
    """Runs a detector on a data set and compares its results with the truth."""
    import_pycocotools("cocoeval")
    _check_classes(model, dataset)
    found = run_detector(model, dataset)
    truth = dataset.source.coco()
    kinds = {"": "bbox"}
    if found.has_masks and has_masks(truth["annotations"]):
        truth = with_all_segmentations(truth)
        kinds["mask_"] = "segm"
    accumulated = {
        prefix: accumulate(truth, found.results, found.image_ids, kind)
        for prefix, kind in kinds.items()
    }
    return Measured(found, truth, accumulated)


class CocoEvaluation(keras.callbacks.Callback):
    """Evaluates a detector at the end of epochs and adds the average precisions to the logs.

    Callbacks that read the figures, such as `keras.callbacks.ModelCheckpoint`, must come after this
    one in the list. The names have the prefix `val_`: `val_AP`, `val_AP50`, ..., `val_mask_AP`.

    Args:
        dataset: `keras_dla.data.DetectionDataset`, best with `flip=0` and `shuffle=False`.
        every: integer, the number of epochs from one evaluation to the next; defaults to `1`.

    Raises:
        ValueError: if `every` is not at least 1; before training, if the detector's number of
            classes is not that of `dataset`.

    Example:
    >>> from keras_dla.data import DetectionDataset, ShapesSource
    >>> from keras_dla.detection import CocoEvaluation
    >>> validation = DetectionDataset(ShapesSource(4), batch_size=2, flip=0, shuffle=False)
    >>> callback = CocoEvaluation(validation, every=4)
    >>> # model.fit(training, epochs=12, callbacks=[callback])
    """

    def __init__(self, dataset: Any, every: int = 1):
        super().__init__()
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise ValueError(f"`every` must be an integer of at least 1, but is {every!r}.")
        self.dataset = dataset
        self.every = every

    def on_train_begin(self, logs: dict | None = None) -> None:
        _check_classes(self.model, self.dataset)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if (epoch + 1) % self.every == 0 and logs is not None:
            figures = evaluate_coco(self.model, self.dataset)
            precisions = {name: value for name, value in figures.items() if "AR" not in name}
            logs.update({f"val_{name}": value for name, value in precisions.items()})


def _check_classes(model, dataset):
    count, names = getattr(model, "classes", None), getattr(model, "class_names", None)
    check_classes(count, names, "dataset", dataset)


def coco_figures(measured: Measured, source: Any, by_class: bool) -> dict[str, float]:
    """Returns the dictionary of `evaluate_coco`.

    Args:
        measured: `Measured`.
        source: the data set's source, which has the names of the classes.
        by_class: boolean, whether to add the figures of every class.
    """
    figures: dict[str, float] = {}
    for prefix, accumulated in measured.kinds.items():
        names = _names(source, accumulated.category_ids) if by_class else []
        of_kind = _figures(accumulated) | _figures_by_class(accumulated, names)
        figures |= {prefix + name: value for name, value in of_kind.items()}
    return figures


def _figures(accumulated):
    precision, recall = accumulated.precision, accumulated.recall
    figures = {
        "AP": precision[..., 0],
        "AP50": precision[0, ..., 0],
        "AP75": precision[5, ..., 0],
        "AP_S": precision[..., 1],
        "AP_M": precision[..., 2],
        "AP_L": precision[..., 3],
        "AR1": recall[:, :, 0, 0],
        "AR10": recall[:, :, 0, 1],
        "AR100": recall[:, :, 0, 2],
        "AR_S": recall[:, :, 1, 2],
        "AR_M": recall[:, :, 2, 2],
        "AR_L": recall[:, :, 3, 2],
    }
    return {name: _mean(values) for name, values in figures.items()}


def _figures_by_class(accumulated, names):
    figures = {}
    for index, name in enumerate(names):
        figures[f"AP of {name}"] = _mean(accumulated.precision[:, :, index, 0])
        figures[f"AP50 of {name}"] = _mean(accumulated.precision[0, :, index, 0])
        figures[f"AR100 of {name}"] = _mean(accumulated.recall[:, index, 0, 2])
    return figures


def _mean(values):
    known = values[values > -1]
    return float(known.mean()) if known.size else -1.0


def _names(source, category_ids):
    names = dict(zip(source.category_ids, source.class_names, strict=True))
    return [names[category] for category in category_ids]
