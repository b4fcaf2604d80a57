"""Turns the output of the RPN into the proposals that the second stage reads."""

from typing import Any

from keras import ops

from keras_dla.detection.heads.region_proposal_network import BOX_CODER
from keras_dla.detection.ops.non_maximum_suppression import non_maximum_suppression
from keras_dla.detection.ops.stable_top_k import stable_top_k
from keras_dla.ops.devices import torch_only_infers
from keras_dla.utils.types import Tensor

IOU_THRESHOLD = 0.7


def region_proposals(
    logits: Tensor, deltas: Tensor, anchors: Any, sizes: Tensor, candidates: int, count: int
) -> tuple:
    """Returns the best-scoring boxes after non-maximum suppression within each level.

    Args:
        logits: `[batch, N]`.
        deltas: `[batch, N, 4]`.
        anchors: list of `[n, 4]` arrays, one per level, N in total.
        sizes: `[batch, 2]`, height and width of the images, to which boxes are clipped.
        candidates: integer, the number of best-scoring boxes per level that are considered.
        count: integer, the number of boxes of all levels that are returned.

    Returns:
        Boxes `[batch, count, 4]` without gradients, by descending score, and booleans `[batch,
        count]`, false for padding.
    """
    logits, deltas = ops.stop_gradient(logits), ops.stop_gradient(deltas)
    levels, begin = [], 0
    for level in anchors:
        end = begin + len(level)
        levels.append(
            _likeliest(logits[:, begin:end], deltas[:, begin:end], level, sizes, candidates)
        )
        begin = end
    # Levels are stacked along the batch, so boxes of different levels do not suppress each other.
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
    """Returns scores and boxes of a level, padded to `candidates` with scores of -inf."""
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


def without_padding(boxes: Tensor, valid: Tensor) -> tuple:
    """Leaves out the places that are padding in every image, where shapes may depend on values.

    That is PyTorch in inference; a small image has far fewer proposals than places for them.

    Args:
        boxes: `[batch, R, 4]`, padding last.
        valid: boolean `[batch, R]`, false for padding.

    Returns:
        Both, with fewer or as many places, at least one.
    """
    if not torch_only_infers():
        return boxes, valid
    most = max(1, int(ops.max(ops.sum(ops.cast(valid, "int32"), axis=1))))
    return boxes[:, :most], valid[:, :most]
