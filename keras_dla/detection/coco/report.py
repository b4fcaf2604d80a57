"""The report of a detector's evaluation: figures, curves and the confusion matrix."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_dla.detection.coco.confusion import confusion_matrix
from keras_dla.detection.coco.evaluation import coco_figures, measure
from keras_dla.detection.validation import check_fraction

# The overlaps of COCO's average precision.
OVERLAPS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
KINDS = {"": "boxes", "mask_": "masks"}


@dataclass(frozen=True)
class DetectionReport:
    """The results of evaluating a detector.

    Args:
        figures: dictionary, what `evaluate_coco(..., by_class=True)` returns.
        class_names: tuple of strings, the names of the data's classes.
        recalls: array, `[101]`, from 0 to 1.
        precisions: dictionary of `"boxes"`, and `"masks"` if they are measured: arrays `[overlaps,
            recalls, classes]`, the largest precision at each recall or above, for the overlaps 0.5,
            0.55, ..., 0.95; -1 for a class without objects.
        confusion: integer array, `[classes + 1, classes + 1]`, see
            `keras_dla.detection.confusion_matrix`.
        score: float, the lowest score of a detection in `confusion`.

    Example:
    >>> import numpy as np
    >>> from keras_dla.detection import DetectionReport
    >>> recalls, none = np.linspace(0, 1, 101), {"boxes": np.zeros((10, 101, 1))}
    >>> report = DetectionReport({"AP": 0.5}, ("cell",), recalls, none, np.eye(2, dtype=int), 0.5)
    >>> report.class_names
    ('cell',)
    """

    figures: dict[str, float]
    class_names: tuple[str, ...]
    recalls: np.ndarray
    precisions: dict[str, np.ndarray]
    confusion: np.ndarray
    score: float


def detection_report(model: keras.Model, dataset: Any, score: float = 0.5) -> DetectionReport:
    """Runs a detector on a data set and returns metrics, curves and the confusion matrix.

    Args:
        model: a detector, as for `evaluate_coco`.
        dataset: `keras_dla.data.DetectionDataset`, of which every image counts once.
        score: float from 0 to 1, the lowest score of a detection in the confusion matrix; figures
            and curves include all detections; defaults to `0.5`.

    Returns:
        A `DetectionReport`.

    Raises:
        ImportError: if pycocotools is not installed.
        ValueError: if `score` is not from 0 to 1, `model` returns no detections, or `dataset` has a
            class that it lacks.

    Example:
    >>> from keras_dla.detection import detection_report
    >>> detection_report(None, None, score=50)
    Traceback (most recent call last):
        ...
    ValueError: `score` must be a number from 0 to 1, but is 50.
    >>> # report = detection_report(model, dataset)
    >>> # keras_dla.analysis.plot_precision_recall(report, "curves.png")
    """
    check_fraction("score", score)
    measured = measure(model, dataset)
    source = dataset.source
    known = set(measured.found.image_ids)
    objects = [one for one in measured.truth["annotations"] if one["image_id"] in known]
    ids = list(source.category_ids)
    return DetectionReport(
        figures=coco_figures(measured, source, by_class=True),
        class_names=tuple(source.class_names),
        recalls=np.linspace(0, 1, 101),
        precisions={
            KINDS[prefix]: _of_all_areas(accumulated, ids)
            for prefix, accumulated in measured.kinds.items()
        },
        confusion=confusion_matrix(objects, measured.found.results, ids, score),
        score=score,
    )


def _of_all_areas(accumulated, category_ids):
    order = [accumulated.category_ids.index(number) for number in category_ids]
    return accumulated.precision[:, :, order, 0]
