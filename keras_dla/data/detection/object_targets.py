"""The objects that a detector learns from an image, and their padding to a fixed number."""

import numpy as np

from keras_dla.data.detection.object_masks import cut_masks
from keras_dla.data.detection.transforms import clip_boxes


def choose_objects(example: dict, max_objects: int, mask_size: int | None = None) -> dict:
    """Selects the objects of an example that are to be learned.

    Boxes are clipped to the image. Crowds are left out, and objects with less than a pixel's width
    or height inside the image. Of more than `max_objects`, the largest boxes are kept. With
    `mask_size`, objects with an empty mask are left out as well.

    Args:
        example: dictionary, as described by `DetectionSource`.
        max_objects: int, the largest number of objects.
        mask_size: int, the cells along each side to which masks are cut (see `cut_masks`), or
            `None` for no masks.

    Returns:
        A dictionary with `"image"`, `"boxes"` float32 `(objects, 4)`, `"classes"` int32
        `(objects,)`, and with `mask_size` `"masks"` uint8 `(objects, mask_size, mask_size)`.

    Example:
    >>> example = {
    ...     "image": np.zeros((8, 8, 3), "uint8"),
    ...     "boxes": np.array([[-2.0, 0, 4, 4], [9, 9, 12, 12], [0, 0, 8, 8]], "float32"),
    ...     "classes": np.array([5, 6, 7]),
    ...     "crowd": np.array([False, False, True]),
    ... }
    >>> objects = choose_objects(example, max_objects=10)
    >>> objects["boxes"].tolist(), objects["classes"].tolist()
    ([[0.0, 0.0, 4.0, 4.0]], [5])
    """
    height, width, _ = example["image"].shape
    boxes = clip_boxes(example["boxes"].astype("float32"), height, width)
    extents = boxes[:, 2:] - boxes[:, :2]
    learned = ~example["crowd"] & np.all(extents >= 1, axis=1)
    if mask_size is not None:
        learned &= example["masks"].any(axis=(1, 2))
    [chosen] = np.nonzero(learned)
    if len(chosen) > max_objects:
        by_area = np.argsort(-extents[chosen].prod(axis=1), kind="stable")
        chosen = np.sort(chosen[by_area[:max_objects]])
    objects = {
        "image": example["image"],
        "boxes": boxes[chosen],
        "classes": example["classes"][chosen].astype("int32"),
    }
    if mask_size is not None:
        objects["masks"] = cut_masks(example["masks"][chosen], boxes[chosen], mask_size)
    return objects


def pad_objects(samples: list[dict], max_objects: int) -> dict:
    """Stacks the objects of a batch, padded to `max_objects` per image.

    Args:
        samples: list of dictionaries from `choose_objects`.
        max_objects: int, the number of entries per image.

    Returns:
        A dictionary with `"boxes"` float32 `(batch, max_objects, 4)`, `"classes"` int32 `(batch,
        max_objects)` and, if the samples have them, `"masks"` uint8 `(batch, max_objects, size,
        size)`. Entries without an object are 0, and -1 in `"classes"`.

    Example:
    >>> sample = {"boxes": np.ones((1, 4), "float32"), "classes": np.array([5], "int32")}
    >>> pad_objects([sample], max_objects=3)["classes"].tolist()
    [[5, -1, -1]]
    """
    fills = {"boxes": 0, "classes": -1, "masks": 0}
    padded = {}
    for key in (key for key in fills if key in samples[0]):
        first = samples[0][key]
        shape = (len(samples), max_objects, *first.shape[1:])
        padded[key] = np.full(shape, fills[key], dtype=first.dtype)
        for row, sample in zip(padded[key], samples, strict=True):
            row[: len(sample[key])] = sample[key]
    return padded
