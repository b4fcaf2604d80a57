"""pycocotools' evaluation: precision and recall for one kind of overlap."""

import contextlib
import io
from typing import NamedTuple

import numpy as np

from keras_dla.detection.coco.results import import_pycocotools, run_lengths


class Accumulated(NamedTuple):
    """The results of pycocotools' evaluation; -1 where there are no objects.

    Args:
        precision: array, `[overlaps, recalls, classes, areas]`, the largest precision at each
            recall or above, with up to 100 detections per image.
        recall: array, `[overlaps, classes, areas, limits]`, the largest recall with up to 1, 10 and
            100 detections per image.
        category_ids: list of integers, the id of each class.
    """

    precision: np.ndarray
    recall: np.ndarray
    category_ids: list[int]


def accumulate(truth: dict, results: list[dict], image_ids: list[int], kind: str) -> Accumulated:
    """Returns the precision and recall of results.

    Args:
        truth: dictionary, the data in COCO's format.
        results: list of dictionaries, the detections; see `coco_results`.
        image_ids: list of integers, the images that count.
        kind: `"bbox"` or `"segm"`, whether the overlap is that of boxes or masks.
    """
    coco_module, evaluation_module = (import_pycocotools(name) for name in ("coco", "cocoeval"))
    with contextlib.redirect_stdout(io.StringIO()):
        objects = _index(coco_module, truth, truth["annotations"])
        found = _index(coco_module, truth, _as_annotations(results, kind))
        evaluation = evaluation_module.COCOeval(objects, found, kind)
        evaluation.params.imgIds = sorted(set(image_ids))
        evaluation.evaluate()
        evaluation.accumulate()
    # The last limit of detections per image is the largest, 100.
    precision, recall = (evaluation.eval[name] for name in ("precision", "recall"))
    return Accumulated(precision[..., -1], recall, list(map(int, evaluation.params.catIds)))


def has_masks(annotations: list[dict]) -> bool:
    """Returns whether masks can be evaluated.

    Without objects they can, and all figures are -1, as for boxes.
    """
    return not annotations or any(a.get("segmentation") for a in annotations)


def with_all_segmentations(truth: dict) -> dict:
    """Returns the truth with empty run lengths for missing segmentations, so that all are read."""
    sizes = {image["id"]: (image["height"], image["width"]) for image in truth["images"]}
    annotations = [
        a if a.get("segmentation") else {**a, "segmentation": _nothing(*sizes[a["image_id"]])}
        for a in truth["annotations"]
    ]
    return {**truth, "annotations": annotations}


def _nothing(height, width):
    return run_lengths(np.zeros((height, width)))


def _index(coco_module, truth, annotations):
    """Returns pycocotools' index, without ids of 0, which pycocotools takes for "no match"."""
    coco = coco_module.COCO()
    numbered = [{**a, "id": number} for number, a in enumerate(annotations, start=1)]
    coco.dataset = {**truth, "annotations": [{"iscrowd": 0, **a} for a in numbered]}
    coco.createIndex()
    return coco


def _as_annotations(results, kind):
    """Returns results with the area that decides whether they are small, medium or large."""
    if kind == "bbox":
        return [{**r, "area": r["bbox"][2] * r["bbox"][3]} for r in results]
    # Computed when the mask was made, because pycocotools 2.0.11 fails for more than 255 masks.
    return results
