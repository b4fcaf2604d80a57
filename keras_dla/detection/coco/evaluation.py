"""COCO's average precision of a detector."""

import contextlib
import io
from typing import Any

import keras
import numpy as np

from keras_dla.detection.coco.results import import_pycocotools, run_detector, run_lengths
from keras_dla.detection.validation import check_classes

# Of pycocotools' axis of areas, in its order.
AREAS = ("all", "small", "medium", "large")


def evaluate_coco(model: keras.Model, dataset: Any, by_class: bool = False) -> dict[str, float]:
    """Returns the average precision of a detector as COCO defines it, from 0 to 1.

    `AP` is the mean over the classes and over the overlaps 0.5, 0.55, ..., 0.95 that a detection
    must have with the object, `AP50` and `AP75` are at one overlap, and `AP_S`, `AP_M` and `AP_L`
    count the objects of less than 32^2 pixels, up to 96^2, and larger. Detections that match crowds
    are ignored. A figure that no object tells anything about is -1, as pycocotools has it; a class
    without objects does not count in the mean.

    Args:
        model: a detector; anything whose `predict_on_batch(x)` returns what
            `keras_dla.detection.coco.results` reads.
        dataset: `keras_dla.data.DetectionDataset`, of which every image counts once.
        by_class: boolean, whether to add the figures of every class: `"AP of cell"`, `"AP50 of
            cell"`; defaults to `False`.

    Returns:
        A dictionary with `"AP"`, `"AP50"`, `"AP75"`, `"AP_S"`, `"AP_M"` and `"AP_L"` of the boxes;
        and, if the detector gives masks and the source has some, the same of those: `"mask_AP"`,
        ... An object whose segmentation is empty counts as one that no mask matches.

    Raises:
        ImportError: if pycocotools is not installed.
        ValueError: if `model` returns no detections, or `dataset` has a class that it lacks.

    Example:
    >>> from keras_dla.detection import FasterRCNN, evaluate_coco
    >>> from keras_dla.data import DetectionDataset, ShapesSource
    >>> from keras_dla.models import ResNet
    >>> options = {"include_top": False, "data_format": "channels_last"}
    >>> backbone = ResNet((1, 1, 1), "dla_l", stem="imagenet", planes=(8, 8, 8), **options)
    >>> model = FasterRCNN(backbone, 3, channels=8, head_units=16, data_format="channels_last")
    >>> size = {"shorter_side": 64, "padded_shape": (64, 64), "data_format": "channels_last"}
    >>> data = DetectionDataset(ShapesSource(2, 64), 2, flip=0, shuffle=False, **size)
    >>> sorted(evaluate_coco(model, data))
    ['AP', 'AP50', 'AP75', 'AP_L', 'AP_M', 'AP_S']
    """
    import_pycocotools("cocoeval")
    _check_classes(model, dataset)
    found = run_detector(model, dataset)
    truth = dataset.source.coco()
    kinds = {"": "bbox"}
    if found.has_masks and _has_masks(truth["annotations"]):
        truth = _with_all_segmentations(truth)
        kinds["mask_"] = "segm"
    figures: dict[str, float] = {}
    for prefix, kind in kinds.items():
        precision, category_ids = _precision(truth, found.results, found.image_ids, kind)
        names = _names(dataset.source, category_ids) if by_class else []
        of_kind = _figures(precision) | _figures_by_class(precision, names)
        figures |= {prefix + name: value for name, value in of_kind.items()}
    return figures


class CocoEvaluation(keras.callbacks.Callback):
    """Evaluates a detector at the end of epochs and puts the figures into the logs.

    Callbacks that read the figures, such as `keras.callbacks.ModelCheckpoint`, stand behind this
    one in the list. The names have `val_` in front: `val_AP`, `val_AP50`, ..., `val_mask_AP`.

    Args:
        dataset: `keras_dla.data.DetectionDataset`, best with `flip=0` and `shuffle=False`.
        every: integer, after how many epochs to evaluate; defaults to `1`.

    Raises:
        ValueError: if `every` is not at least 1; before training, if the detector has not as many
            classes as `dataset`.

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
            logs.update({f"val_{name}": value for name, value in figures.items()})


def _check_classes(model, dataset):
    count, names = getattr(model, "classes", None), getattr(model, "class_names", None)
    check_classes(count, names, "dataset", dataset)


def _has_masks(annotations):
    # Without objects there is nothing to tell, and the figures are those of boxes, -1.
    return not annotations or any(a.get("segmentation") for a in annotations)


def _with_all_segmentations(truth):
    """Returns the truth with run lengths of nothing where there are none, so that all are read."""
    sizes = {image["id"]: (image["height"], image["width"]) for image in truth["images"]}
    annotations = [
        a if a.get("segmentation") else {**a, "segmentation": _nothing(*sizes[a["image_id"]])}
        for a in truth["annotations"]
    ]
    return {**truth, "annotations": annotations}


def _nothing(height, width):
    return run_lengths(np.zeros((height, width)))


def _precision(truth, results, image_ids, kind):
    """Returns pycocotools' precision `[overlaps, recalls, classes, areas]`, and the classes."""
    coco_module, evaluation_module = (import_pycocotools(name) for name in ("coco", "cocoeval"))
    with contextlib.redirect_stdout(io.StringIO()):
        objects = _index(coco_module, truth, truth["annotations"])
        found = _index(coco_module, truth, _as_annotations(results, kind))
        evaluation = evaluation_module.COCOeval(objects, found, kind)
        evaluation.params.imgIds = sorted(set(image_ids))
        evaluation.evaluate()
        evaluation.accumulate()
    # The last limit of detections an image is the largest, 100.
    return evaluation.eval["precision"][..., -1], evaluation.params.catIds


def _index(coco_module, truth, annotations):
    """Returns pycocotools' index. It must not see an id of 0, which means no match to it."""
    coco = coco_module.COCO()
    numbered = [{**a, "id": number} for number, a in enumerate(annotations, start=1)]
    coco.dataset = {**truth, "annotations": [{"iscrowd": 0, **a} for a in numbered]}
    coco.createIndex()
    return coco


def _as_annotations(results, kind):
    """Returns results with the area that decides whether they are small, medium or large."""
    if kind == "bbox":
        return [{**r, "area": r["bbox"][2] * r["bbox"][3]} for r in results]
    # Counted when the mask was made: pycocotools 2.0.11 fails to count more than 255 masks.
    return results


def _figures(precision):
    figures = {
        "AP": precision[..., 0],
        "AP50": precision[0, ..., 0],
        "AP75": precision[5, ..., 0],
        "AP_S": precision[..., 1],
        "AP_M": precision[..., 2],
        "AP_L": precision[..., 3],
    }
    return {name: _mean(values) for name, values in figures.items()}


def _figures_by_class(precision, names):
    figures = {}
    for index, name in enumerate(names):
        figures[f"AP of {name}"] = _mean(precision[:, :, index, 0])
        figures[f"AP50 of {name}"] = _mean(precision[0, :, index, 0])
    return figures


def _mean(values):
    known = values[values > -1]
    return float(known.mean()) if known.size else -1.0


def _names(source, category_ids):
    names = dict(zip(source.category_ids, source.class_names, strict=True))
    return [names[int(category)] for category in np.asarray(category_ids)]
