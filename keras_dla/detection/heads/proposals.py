"""From the output of the RPN to boxes that the second stage looks at."""

from typing import Any

from keras import ops

from keras_dla.detection.heads.region_proposal_network import BOX_CODER
from keras_dla.detection.ops.non_maximum_suppression import non_maximum_suppression
from keras_dla.detection.ops.stable_top_k import stable_top_k
from keras_dla.utils.types import Tensor

IOU_THRESHOLD = 0.7


def region_proposals(
    logits: Tensor, deltas: Tensor, anchors: Any, sizes: Tensor, candidates: int, count: int
) -> tuple:
    """Returns the likeliest boxes that do not overlap much with a likelier one of their level.

    Args:
        logits: `[batch, N]`.
        deltas: `[batch, N, 4]`.
        anchors: list of `[n, 4]` arrays, one a level, N in all.
        sizes: `[batch, 2]`, height and width of the images, to which boxes are clipped.
        candidates: integer, how many boxes of a level, the likeliest, are looked at.
        count: integer, how many boxes of all levels are returned.

    Returns:
        Boxes `[batch, count, 4]` without gradients, the likeliest first, and booleans
        `[batch, count]`: which of them are there.
    """
    logits, deltas = ops.stop_gradient(logits), ops.stop_gradient(deltas)
    levels, begin = [], 0
    for level in anchors:
        end = begin + len(level)
        levels.append(
            _likeliest(logits[:, begin:end], deltas[:, begin:end], level, sizes, candidates)
        )
        begin = end
    # Levels lie side by side in the batch: boxes of different levels do not meet.
    scores, boxes = (ops.stack(parts, axis=1) for parts in zip(*levels, strict=True))
    scores = ops.reshape(scores, (-1, candidates))
    boxes = ops.reshape(boxes, (-1, candidates, 4))
    kept, valid = non_maximum_suppression(boxes, scores, IOU_THRESHOLD, min(count, candidates))
    scores = ops.where(valid, ops.take_along_axis(scores, kept, axis=1), -float("inf"))
    boxes = ops.take_along_axis(boxes, kept[..., None], axis=1)
    total = len(anchors) * min(count, candidates)
    return _best(
        ops.reshape(scores, (-1, total)), ops.reshape(boxes, (-1, total, 4)), min(count, total)
    )


def _likeliest(logits, deltas, anchors, sizes, candidates):
    """Returns scores and boxes of a level, filled up to `candidates`; -inf is no box."""
    order = stable_top_k(logits, min(candidates, logits.shape[1]))
    scores = ops.take_along_axis(logits, order, axis=1)
    deltas = ops.take_along_axis(deltas, order[..., None], axis=1)
    anchors = ops.take(ops.convert_to_tensor(anchors), order, axis=0)
    boxes = BOX_CODER.decode(anchors, deltas, sizes)
    has_area = (boxes[..., 2] > boxes[..., 0]) & (boxes[..., 3] > boxes[..., 1])
    scores = ops.where(has_area, scores, -float("inf"))
    missing = (0, candidates - scores.shape[1])
    scores = ops.pad(scores, ((0, 0), missing), constant_values=-float("inf"))
    return scores, ops.pad(boxes, ((0, 0), missing, (0, 0)))


def _best(scores, boxes, count):
    order = stable_top_k(scores, count)
    valid = ops.take_along_axis(scores, order, axis=1) > -float("inf")
    boxes = ops.take_along_axis(boxes, order[..., None], axis=1)
    return ops.where(valid[..., None], boxes, 0.0), valid
