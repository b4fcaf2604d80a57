"""Common mistakes of exported annotations, found by looking at all annotations of a file together.

Each check raises `ValueError` if nearly all objects are affected, and names the likely cause.
"""

import warnings

import numpy as np

from keras_dla.data.detection.segmentation import (
    decode_segmentations,
    draw_in_row_order,
    polygon_bounds,
)

KIND = "[x, y, width, height] in pixels"
# The largest number of segmentations that are looked at.
_SAMPLE = 200
_RUN_LENGTHS = 20
# From this number of objects on, boxes alone show what their numbers mean.
_CROWD_OF_BOXES = 10
_WORTH_A_WARNING = 0.1


def check_box_kind(annotations: list[dict], images: dict[int, dict]) -> None:
    """Raises `ValueError` if the boxes are something other than x, y, width and height.

    If there are polygons, boxes must enclose them; otherwise the boxes are judged together: corners
    or centres that are misread in this way leave the image, and fractions or percentages stay in
    its corner.

    Args:
        annotations: list of dictionaries, each with a `bbox` of four numbers.
        images: dictionary, the image by its id.
    """
    objects = [a for a in annotations if not a["iscrowd"] and min(a["bbox"][2:]) > 0]
    if not objects:
        return
    boxes = np.array([a["bbox"] for a in objects], "float64")
    sizes = np.array([_size(images[a["image_id"]]) for a in objects], "float64")
    kind = _kind_by_polygons(objects, boxes, sizes) or _kind_by_all(boxes, sizes)
    if kind is not None:
        raise ValueError(f"boxes that look like {kind} instead of {KIND}")


def _size(image):
    return image["width"], image["height"]


def _corners(boxes):
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def _around_centres(boxes):
    return np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], 1)


# The corners in pixels for each possible meaning of the four numbers.
_READINGS = {
    "the corners [x1, y1, x2, y2]": lambda boxes, sizes: boxes,
    "[centre x, centre y, width, height]": lambda boxes, sizes: _around_centres(boxes),
    "fractions of the image (0 to 1)": lambda boxes, sizes: _corners(boxes * sizes),
    "YOLO's fractions around the centre": lambda boxes, sizes: _around_centres(boxes * sizes),
    "percent of the image": lambda boxes, sizes: _corners(boxes * sizes / 100),
}


def _kind_by_polygons(objects, boxes, sizes):
    bounds = [polygon_bounds(a.get("segmentation")) for a in objects[:_SAMPLE]]
    known = [place for place, bound in enumerate(bounds) if bound is not None]
    if not known:
        return None
    around = np.array([bounds[place] for place in known])
    boxes, sizes = boxes[known], np.tile(sizes[known], 2)
    if np.median(_overlaps(_corners(boxes), around)) >= 0.5:
        return None
    fits = {
        kind: np.median(_overlaps(read(boxes, sizes), around)) for kind, read in _READINGS.items()
    }
    best = max(fits, key=lambda kind: fits[kind])
    if fits[best] >= 0.75:
        return f"{best} (read in that way, most enclose their polygons)"
    warnings.warn(
        "Most boxes do not enclose their polygons: does one of them refer to another image size?",
        stacklevel=5,
    )
    return None


def _overlaps(a, b):
    """Returns intersection over union row by row, with boxes widened by a pixel on each side."""
    wider = np.array([-0.5, -0.5, 0.5, 0.5])
    a, b = a + wider, b + wider
    sides = np.maximum(0, np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]))
    areas = [np.maximum(0, x[:, 2:] - x[:, :2]).prod(1) for x in (a, b)]
    shared = sides.prod(1)
    return shared / np.maximum(sum(areas) - shared, 1e-9)


def _kind_by_all(boxes, sizes):
    count = len(boxes)
    if boxes.max() <= 1 and sizes.min() > 8:
        return "fractions of the image (0 to 1)"
    # In correct files, boxes may leave their image too, by a rounded pixel.
    leave = _leave(_corners(boxes), sizes)
    as_corners = ~_leave(boxes, sizes) & (boxes[:, 2:] >= boxes[:, :2]).all(1)
    lie = f"read as {KIND}, {leave.sum()} of {count} leave their image"
    if 2 * (leave & as_corners).sum() > count or (
        count >= _CROWD_OF_BOXES and leave.any() and as_corners.all()
    ):
        return f"[x1, y1, x2, y2] ({lie}, but as corners they fit)"
    if count < _CROWD_OF_BOXES:
        return None
    if leave.sum() >= max(2, 0.05 * count) and not _leave(_around_centres(boxes), sizes).any():
        return f"[centre x, centre y, width, height] ({lie}, but as centres they fit)"
    reach = _corners(boxes)[:, 2:].max(0)
    if sizes.min() >= 200 and (reach <= 100.5).all() and (reach > 75).all():
        return "percent of the image (none exceeds 100 in either direction)"
    return None


def _leave(corners, sizes):
    return (corners[:, :2] < -1).any(1) | (corners[:, 2:] > sizes + 1).any(1)


def check_run_length_order(annotations: list[dict], images: dict[int, dict]) -> None:
    """Raises `ValueError` if run lengths go along the rows; COCO's go down the columns.

    Args:
        annotations: list of dictionaries with checked segmentations.
        images: dictionary, the image by its id.
    """
    fits = []
    for annotation in annotations:
        code, box = annotation.get("segmentation"), annotation["bbox"]
        if annotation["iscrowd"] or not isinstance(code, dict) or min(box[2:]) <= 0:
            continue
        width, height = _size(images[annotation["image_id"]])
        [down] = decode_segmentations([code], height, width)
        along = draw_in_row_order(code, height, width)
        bounds = np.array([mask_bounds(down), mask_bounds(along)])
        fits.append(_overlaps(np.repeat(_corners(np.array([box])), 2, 0), bounds))
        if len(fits) == _RUN_LENGTHS:
            break
    if fits:
        down, along = np.median(fits, axis=0)
        if down < 0.5 and along >= 0.75:
            raise ValueError(
                "run lengths that go along the rows instead of down the columns (read in that "
                "way, most fill their boxes)"
            )


def mask_bounds(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Returns the smallest box (x1, y1, x2, y2) around a mask, four zeros around an empty one."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return 0, 0, 0, 0
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def check_left_to_learn(annotations: list[dict], images: dict[int, dict], masks: bool) -> None:
    """Raises `ValueError` if no object can be learned, and warns if many cannot.

    Crowds are not learned, nor objects with less than a pixel's width or height inside the image,
    nor, with `masks`, those without a segmentation.

    Args:
        annotations: list of dictionaries.
        images: dictionary, the image by its id.
        masks: bool, whether masks are to be learned.
    """
    total = len(annotations)
    causes = [_why_lost(a, images[a["image_id"]], masks) for a in annotations]
    lost = {cause: causes.count(cause) for cause in set(causes) - {None}}
    if not lost or sum(lost.values()) < _WORTH_A_WARNING * total:
        return
    listed = "; ".join(
        f"{number} of {total} {cause}"
        for cause, number in sorted(lost.items(), key=lambda entry: -entry[1])
    )
    if sum(lost.values()) == total:
        raise ValueError(f"no object that can be learned: {listed}")
    warnings.warn(f"Objects that are not learned: {listed}.", stacklevel=4)


def _why_lost(annotation, image, masks):
    if annotation["iscrowd"]:
        return "stand for crowds (`iscrowd: 1`, which some tools write with every mask)"
    width, height = _size(image)
    x, y, w, h = annotation["bbox"]
    inside = min(x + w, width) - max(x, 0), min(y + h, height) - max(y, 0)
    if min(inside) < 1:
        return "have less than a pixel's width or height in their image (has it another size?)"
    if masks and not annotation.get("segmentation"):
        return "have no segmentation (`masks=False` learns their boxes)"
    return None
