"""The detections in a data set, in COCO's results format."""

from typing import Any, NamedTuple

import keras
import numpy as np

from keras_dla.detection.coco.mask_pasting import paste_mask

MASK_THRESHOLD = 0.5


def coco_results(model: keras.Model, dataset: Any) -> tuple[list[dict], list[int]]:
    """Runs a detector on a data set and returns its detections in COCO's results format.

    Boxes are mapped back to the image before resizing and mirroring, and clipped to its borders. A
    mask is pasted into the image by bilinear interpolation; pixels of at least 0.5 belong to it.
    Images that only fill up the last batch do not count twice.

    Args:
        model: any object whose `predict_on_batch(x)` returns the detections of a batch: a
            dictionary of `"boxes"` `[batch, detections, 4]` in pixels of the resized image,
            `"scores"` and `"classes"` `[batch, detections]`, where class -1 means no detection, and
            optionally `"masks"` `[batch, detections, rows, columns]` from 0 to 1 inside the box.
        dataset: `keras_dla.data.DetectionDataset`.

    Returns:
        A list of dictionaries of `image_id`, `category_id`, `score`, `bbox` (x, y, width, height)
        and, with masks, `segmentation` and its `area`; and the list of the images' ids.

    Raises:
        ImportError: if there are masks and pycocotools is not installed.
        ValueError: if `model` returns no detections, or a class that `dataset` does not have.

    Example:

        results, image_ids = coco_results(model, dataset)
        pathlib.Path("results.json").write_text(json.dumps(results))
    """
    found = run_detector(model, dataset)
    return found.results, found.image_ids


class Found(NamedTuple):
    """The detections in a data set.

    Args:
        results: list of dictionaries, see `coco_results`.
        image_ids: list of the images' ids.
        has_masks: boolean, whether the detector predicts masks, even if it finds nothing.
    """

    results: list[dict]
    image_ids: list[int]
    has_masks: bool


def run_detector(model: keras.Model, dataset: Any) -> Found:
    """Returns the results of `coco_results`, and whether the detector predicts masks."""
    category_ids = _category_ids(model, dataset.source)
    results, image_ids, has_masks = [], [], False
    for batch in range(len(dataset)):
        x, _ = dataset[batch]
        detections = model.predict_on_batch(x)
        _check(detections)
        _check_classes(detections["classes"], len(category_ids))
        has_masks = "masks" in detections
        for index, record in enumerate(dataset.records(batch)):
            image_ids.append(record["image_id"])
            found = {name: np.asarray(values[index]) for name, values in detections.items()}
            results += _of_image(found, record, category_ids)
    return Found(results, image_ids, has_masks)


def _category_ids(model, source):
    """Returns the data's id of each class of the model, by name; `None` if the data lacks it."""
    names = getattr(model, "class_names", None)
    if names is None:
        return list(source.category_ids)
    ids = dict(zip(source.class_names, source.category_ids, strict=True))
    return [ids.get(name) for name in names]


def _check(detections):
    if not isinstance(detections, dict) or not {"boxes", "scores", "classes"} <= set(detections):
        given = sorted(detections) if isinstance(detections, dict) else type(detections).__name__
        raise ValueError(
            f"`model` must return a dictionary of 'boxes', 'scores' and 'classes' from "
            f"`predict_on_batch`, but returned {given}."
        )


def _check_classes(classes, count):
    largest = int(np.max(np.asarray(classes), initial=-1))
    if largest >= count:
        raise ValueError(
            f"`dataset` must have as many classes as the detector, but has {count}, and the "
            f"detector found class {largest}, counted from 0."
        )


def _of_image(found, record, category_ids):
    height, width = record["height"], record["width"]
    boxes, inside = boxes_in_original(found["boxes"], record, height, width)
    results = []
    for index in np.flatnonzero(found["classes"] >= 0):
        category_id = category_ids[int(found["classes"][index])]
        if category_id is None:
            continue
        x1, y1, x2, y2 = inside[index].tolist()
        result = {
            "image_id": record["image_id"],
            "category_id": category_id,
            "score": float(found["scores"][index]),
            "bbox": [x1, y1, x2 - x1, y2 - y1],
        }
        if "masks" in found:
            # The mask fills the box that it was predicted for, even if the box leaves the image.
            mask = found["masks"][index][:, :: -1 if record.get("flipped") else 1]
            pasted = paste_mask(mask, boxes[index], height, width) >= MASK_THRESHOLD
            result |= {"segmentation": run_lengths(pasted), "area": int(pasted.sum())}
        results.append(result)
    return results


def boxes_in_original(
    boxes: np.ndarray, record: dict, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Maps boxes back to the image before resizing and mirroring.

    Args:
        boxes: array, `[detections, 4]`, in pixels of the resized image.
        record: dictionary with `"scale"`, the factors of height and width, and optionally
            `"flipped"`, whether the image was mirrored.
        height: integer, of the original image in pixels.
        width: integer, of the original image in pixels.

    Returns:
        The boxes, and the boxes clipped to the image; float64 `[detections, 4]`.
    """
    scale_y, scale_x = record["scale"]
    boxes = boxes.astype("float64") / (scale_x, scale_y, scale_x, scale_y)
    if record.get("flipped"):
        boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
    return boxes, np.clip(boxes, 0, (width, height, width, height))


def run_lengths(mask: np.ndarray) -> dict:
    """Returns a mask `[height, width]` in COCO's run-length code, in a form that JSON can store.

    Example:
    >>> import numpy as np
    >>> from keras_dla.detection.coco.results import run_lengths
    >>> run_lengths(np.ones((2, 3)))
    {'size': [2, 3], 'counts': '06'}
    """
    code = import_pycocotools("mask").encode(np.asfortranarray(mask, "uint8"))
    return {"size": [int(side) for side in code["size"]], "counts": code["counts"].decode("ascii")}


def import_pycocotools(module: str) -> Any:
    """Returns a module of pycocotools; raises one sentence if it is missing."""
    import importlib

    try:
        return importlib.import_module(f"pycocotools.{module}")
    except ImportError as error:
        raise ImportError(
            f"evaluating detections needs pycocotools: pip install 'keras-dla[detection]' ({error})"
        ) from error
