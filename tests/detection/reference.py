"""Slow and plain: geometry of boxes, box by box, in float64."""

import numpy as np

# Unions below it count as it, in MMDetection too.
SMALLEST_UNION = 1e-6


def area(box):
    x1, y1, x2, y2 = (float(value) for value in box)
    return max(x2 - x1, 0.0) * max(y2 - y1, 0.0)


def overlap(a, b):
    """Intersection over union of two boxes."""
    corners = [max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])]
    intersection = area(corners)
    return intersection / max(area(a) + area(b) - intersection, SMALLEST_UNION)


def overlaps(a, b):
    """`[N, M]` for boxes `[N, 4]` and `[M, 4]`."""
    table = [[overlap(x, y) for y in b] for x in a]
    return np.array(table, "float64").reshape(len(a), len(b))


def suppress(boxes, scores, threshold, classes=None):
    """Greedy non-maximum suppression of one group: the indices that stay, the best first."""
    # Python's sort is stable: of equal scores the lower index comes first.
    order = sorted((i for i in range(len(boxes)) if scores[i] > -np.inf), key=lambda i: -scores[i])
    kept = []
    for i in order:
        rivals = [j for j in kept if classes is None or classes[i] == classes[j]]
        if all(overlap(boxes[j], boxes[i]) <= threshold for j in rivals):
            kept.append(i)
    return kept
