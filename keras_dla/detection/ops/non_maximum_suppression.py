"""Non-maximum suppression: of boxes that overlap, only the one with the highest score is kept."""

import numpy as np
from keras import ops

from keras_dla.detection.ops.boxes import intersection_over_union
from keras_dla.detection.ops.stable_top_k import stable_top_k
from keras_dla.ops.devices import torch_runs_eagerly
from keras_dla.utils.types import Tensor
from keras_dla.utils.validation import check_positive_integer

# The number of boxes that are compared at once with the kept boxes and with each other.
BLOCK = 128
# Within a block only an earlier box, which has the higher score, suppresses a later one.
BEFORE = np.triu(np.ones((BLOCK, BLOCK), "bool"), 1)


def non_maximum_suppression(
    boxes: Tensor,
    scores: Tensor,
    iou_threshold: float,
    max_outputs: int,
    classes: Tensor = None,
    valid: Tensor = None,
) -> tuple:
    """Exact greedy non-maximum suppression in fixed shape, on every backend.

    By descending score (for equal scores, the lower index first) a box is kept unless a kept box
    overlaps it by more than `iou_threshold`. Boxes are processed in blocks of 128, until every
    group has `max_outputs` boxes or no candidates. There are no gradients.

    Args:
        boxes: tensor `[B, N, 4]`: B independent groups, such as the images of a batch.
        scores: tensor `[B, N]`. A box whose score is -inf or NaN is never kept.
        iou_threshold: number from 0 to 1.
        max_outputs: integer, the number of boxes per group that are returned.
        classes: optional integer tensor `[B, N]`; boxes of different classes do not suppress each
            other; defaults to `None`.
        valid: optional boolean tensor `[B, N]`, false for boxes that are ignored; defaults to
            `None`.

    Returns:
        indices: int32 tensor `[B, max_outputs]` into N, by descending score, padded with 0.
        valid: boolean tensor `[B, max_outputs]`, false for padding.

    Raises:
        ValueError: if `iou_threshold` is not from 0 to 1, or `max_outputs` not a positive integer.

    Example:
    >>> from keras import ops
    >>> from keras_dla.detection.ops.non_maximum_suppression import non_maximum_suppression
    >>> boxes = [[[0, 0, 9, 9], [0, 0, 9, 8], [20, 0, 29, 9]]]
    >>> indices, valid = non_maximum_suppression(boxes, [[0.5, 0.75, 0.25]], 0.5, 3)
    >>> ops.convert_to_numpy(indices).tolist(), ops.convert_to_numpy(valid).tolist()
    ([[1, 2, 0]], [[True, True, False]])
    """
    _check_threshold(iou_threshold)
    check_positive_integer("max_outputs", max_outputs)
    boxes = ops.stop_gradient(ops.cast(boxes, "float32"))
    order, candidates = _ranked(ops.stop_gradient(ops.cast(scores, "float32")), valid)
    number = boxes.shape[1]
    # Rows of zeros, which overlap no box, stand for boxes not yet kept; there is at least one.
    missing = (0, BLOCK - number % BLOCK)
    ranked = [ops.pad(_take(boxes, order), ((0, 0), missing, (0, 0)))]
    if classes is not None:
        ranked.append(ops.pad(_take(ops.convert_to_tensor(classes), order), ((0, 0), missing)))
    places = _keep(ranked, candidates, number, iou_threshold, max_outputs)
    kept = places < number
    order = ops.pad(order, ((0, 0), (0, 1)))
    return _take(order, places), kept


def class_detections(
    boxes: Tensor,
    scores: Tensor,
    score_threshold: float = 0.05,
    iou_threshold: float = 0.5,
    max_detections: int = 100,
    candidates: int = 2000,
) -> dict:
    """Turns boxes and class scores into detections: the last step of a detector.

    As in MMDetection's `multiclass_nms`, every pair of box and class whose score exceeds
    `score_threshold` is a candidate, and candidates of one class suppress each other. The results
    are the same as long as at most `candidates` pairs of an image exceed the threshold.

    Args:
        boxes: tensor `[B, N, C, 4]`, one box per class, or `[B, N, 1, 4]`.
        scores: tensor `[B, N, C]`, without background.
        score_threshold: number that a score must exceed; defaults to `0.05`.
        iou_threshold: number from 0 to 1, the overlap above which the one with the lower score is
            suppressed; defaults to `0.5`.
        max_detections: integer D, the number of detections per image that are returned; defaults to
            `100`.
        candidates: integer, the number of highest-scoring pairs per image that are considered;
            defaults to `2000`.

    Returns:
        A dictionary by descending score: `"boxes"` float32 `[B, D, 4]`, `"scores"` float32 `[B,
        D]`, `"classes"` int32 `[B, D]`, and `"sources"` int32 `[B, D]`, the index in N of the box.
        Padding has class -1 and zeros elsewhere.

    Raises:
        ValueError: if `boxes` and `scores` do not fit, or another argument is not as above.

    Example:
    >>> from keras import ops
    >>> from keras_dla.detection.ops.non_maximum_suppression import class_detections
    >>> boxes = [[[[0, 0, 9, 9]], [[0, 0, 9, 8]]]]
    >>> found = class_detections(boxes, [[[0.25, 0.5], [0.75, 0.0]]], max_detections=3)
    >>> [ops.convert_to_numpy(found[name]).tolist() for name in ("classes", "sources")]
    [[[0, 1, -1]], [[1, 0, 0]]]
    """
    check_positive_integer("candidates", candidates)
    boxes, scores = _checked_pairs(boxes, scores)
    found = _likeliest_pairs(boxes, scores, score_threshold, candidates)
    kept, valid = non_maximum_suppression(
        found["boxes"], found["scores"], iou_threshold, max_detections, found["classes"]
    )
    detections = {name: _take(x, kept) for name, x in found.items()}
    detections["boxes"] = ops.where(valid[..., None], detections["boxes"], 0.0)
    for name, padding in (("scores", 0.0), ("classes", -1), ("sources", 0)):
        detections[name] = ops.where(valid, detections[name], padding)
    return detections


def _likeliest_pairs(boxes, scores, score_threshold, candidates):
    """Returns pairs of box and class by descending score, -inf for those below the threshold."""
    number, classes = scores.shape[1:]
    batch, boxes_each = ops.shape(scores)[0], boxes.shape[2]
    scores = ops.reshape(scores, (batch, number * classes))
    scores = ops.where(scores > score_threshold, scores, -float("inf"))
    pairs = stable_top_k(scores, min(candidates, number * classes))
    sources = pairs // classes
    boxes = ops.reshape(boxes, (batch, number * boxes_each, 4))
    return {
        "boxes": _take(boxes, sources if boxes_each == 1 else pairs),
        "scores": _take(scores, pairs),
        "classes": pairs % classes,
        "sources": sources,
    }


def _ranked(scores, valid):
    """Returns the order of descending scores, and the number of candidates per group."""
    usable = scores > -float("inf")
    if valid is not None:
        usable = usable & ops.cast(valid, "bool")
    order = stable_top_k(ops.where(usable, scores, -float("inf")), scores.shape[1])
    return order, ops.sum(ops.cast(usable, "int32"), axis=1)


def _keep(ranked, candidates, number, iou_threshold, max_outputs):
    """Returns the places in `ranked` that are kept, `[B, max_outputs]`, padded with `number`.

    Args:
        ranked: boxes `[B, number + padding, 4]` by descending score, and optionally their classes.
        candidates: int32 `[B]`, the number of them that may be kept.
    """
    rows = ops.arange(ops.shape(candidates)[0], dtype="int32")[:, None] * (max_outputs + 1)

    def unfinished(begin, kept, places):
        return ops.any((kept < max_outputs) & (begin < candidates))

    def next_block(begin, kept, places):
        here = begin + ops.arange(BLOCK, dtype="int32")
        block = [ops.take(x, here, axis=1) for x in ranked]
        earlier = [_take(x, places[:, : _filled(kept, max_outputs)]) for x in ranked]
        suppressed = ops.any(_suppresses(earlier, block, iou_threshold), axis=1)
        alive = (here < candidates[:, None]) & ~suppressed
        keep = _settle(alive, ops.logical_and(_suppresses(block, block, iou_threshold), BEFORE))
        seats = kept[:, None] + ops.cumsum(ops.cast(keep, "int32"), axis=1) - 1
        # Boxes that are not kept, or come too late, go to an extra last column that is not read.
        seats = rows + ops.where(keep, ops.minimum(seats, max_outputs), max_outputs)
        places = ops.scatter_update(
            ops.reshape(places, (-1,)),
            ops.reshape(seats, (-1, 1)),
            ops.reshape(ops.broadcast_to(here, ops.shape(keep)), (-1,)),
        )
        kept = kept + ops.sum(ops.cast(keep, "int32"), axis=1)
        return begin + BLOCK, kept, ops.reshape(places, (-1, max_outputs + 1))

    nobody = ops.zeros_like(candidates)
    places = ops.repeat(nobody[:, None] + number, max_outputs + 1, axis=1)
    begin = ops.convert_to_tensor(0, "int32")
    return ops.while_loop(unfinished, next_block, (begin, nobody, places))[2][:, :max_outputs]


def _filled(kept, max_outputs):
    """Returns the number of places to compare with: all, unless shapes may depend on values."""
    return min(int(ops.max(kept)), max_outputs) if torch_runs_eagerly() else max_outputs


def _suppresses(ranked, others, iou_threshold):
    """Returns `[B, N, M]`: whether a kept box of N would suppress the box of M."""
    overlapping = intersection_over_union(ranked[0], others[0]) > iou_threshold
    if len(ranked) == 1:
        return overlapping
    return overlapping & (ranked[1][:, :, None] == others[1][:, None, :])


def _settle(alive, suppresses):
    """Returns the only `keep` with `keep[i] = alive[i] and no keep[j] that suppresses i`.

    Only earlier boxes suppress, so the first i entries are right after i rounds, and a result that
    no longer changes is the solution. This takes as many rounds as the longest chain of boxes in
    which each decides the next one, usually a few.
    """

    def changing(keep, changed):
        return changed

    def next_round(keep, _):
        again = alive & ~ops.any(suppresses & keep[:, :, None], axis=1)
        return again, ops.any(again != keep)

    return ops.while_loop(changing, next_round, (alive, ops.convert_to_tensor(True)))[0]


def _take(x, indices):
    """Returns entries of axis 1 of `[B, N]` or `[B, N, 4]` by indices `[B, K]`."""
    return ops.take_along_axis(x, indices[..., None] if len(x.shape) == 3 else indices, axis=1)


def _check_threshold(iou_threshold):
    if not 0 <= iou_threshold <= 1:
        raise ValueError(f"`iou_threshold` must be from 0 to 1, but is {iou_threshold!r}.")


def _checked_pairs(boxes, scores):
    """Returns both in float32 and without gradients, with at least one box."""
    boxes = ops.stop_gradient(ops.cast(boxes, "float32"))
    scores = ops.stop_gradient(ops.cast(scores, "float32"))
    shape, expected = tuple(boxes.shape), tuple(scores.shape)
    fits = len(shape) == 4 and len(expected) == 3 and shape[1] == expected[1]
    if not fits or shape[2] not in (1, expected[2]) or shape[3] != 4:
        raise ValueError(
            "`boxes` must be `[B, N, C, 4]` or `[B, N, 1, 4]` if `scores` is `[B, N, C]`, but "
            f"their shapes are {shape} and {expected}."
        )
    if shape[1] == 0:
        boxes = ops.pad(boxes, ((0, 0), (0, 1), (0, 0), (0, 0)))
        scores = ops.pad(scores, ((0, 0), (0, 1), (0, 0)), constant_values=-float("inf"))
    return boxes, scores
