"""What detectors compute, once more: box by box, in float64."""

import numpy as np


def overlap(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    common = width * height
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def encoded(reference, box, deviations=(1, 1, 1, 1)):
    """Girshick et al., 2014."""
    w, h = reference[2] - reference[0], reference[3] - reference[1]
    deltas = [
        (box[0] + box[2] - reference[0] - reference[2]) / 2 / w,
        (box[1] + box[3] - reference[1] - reference[3]) / 2 / h,
        np.log((box[2] - box[0]) / w),
        np.log((box[3] - box[1]) / h),
    ]
    return np.array(deltas) / np.array(deviations)


def decoded(reference, deltas, size, deviations=(1, 1, 1, 1)):
    x, y, w, h = np.array(deltas, "float64") * np.array(deviations)
    width, height = reference[2] - reference[0], reference[3] - reference[1]
    x = (reference[0] + reference[2]) / 2 + x * width
    y = (reference[1] + reference[3]) / 2 + y * height
    width, height = width * np.exp(w), height * np.exp(h)
    box = np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
    return np.clip(box, 0, [size[1], size[0], size[1], size[0]])


def suppressed(boxes, scores, threshold):
    """Greedy suppression; returns the indices that stay, the best first."""
    order, kept = np.argsort(-np.asarray(scores), kind="stable"), []
    for index in order:
        if all(overlap(boxes[index], boxes[other]) <= threshold for other in kept):
            kept.append(index)
    return kept


def random_boxes(rng, *shape, least=5, most=40, within=50):
    corners = rng.uniform(0, within, (*shape, 2))
    sides = rng.uniform(least, most, (*shape, 2))
    return np.concatenate([corners, corners + sides], -1).astype("float32")
