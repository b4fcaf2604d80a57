"""Assigns boxes to objects by the largest overlap."""

from keras import ops

from keras_dla.detection.ops.boxes import elementwise_overlap
from keras_dla.utils.types import Tensor

BACKGROUND, IGNORED = -1, -2


def match_boxes(
    boxes: Tensor,
    targets: Tensor,
    valid: Tensor,
    positive: float = 0.5,
    negative: float = 0.5,
    minimum: float = 0.5,
    low_quality: bool = False,
    usable: Tensor = None,
) -> Tensor:
    """Assigns every box to an object, the background or neither, as MMDetection's `MaxIoUAssigner`.

    A box whose largest overlap is below `negative` is background; from `positive` on it belongs to
    the object that it overlaps most (of equal ones, the first); between the two it is ignored. With
    `low_quality`, every object whose best overlap is at least `minimum` is then also assigned all
    boxes with exactly that overlap, whatever they were assigned to before; of several such objects
    the last one wins.

    The objects are processed one by one, up to the largest number of objects per image, so the
    memory is that of a few arrays `[B, N]`. There are no gradients.

    Args:
        boxes: tensor `[B, N, 4]`, or `[N, 4]` for all images, such as anchors.
        targets: tensor `[B, G, 4]`, the objects' boxes.
        valid: boolean tensor `[B, G]`, false for padding, which gets no box.
        positive: number, the overlap (intersection over union) from which a box is positive.
        negative: number, at most `positive`, below which it is background.
        minimum: number, the best overlap from which an object is assigned boxes of low quality.
        low_quality: boolean, whether to assign such boxes. The region proposal network does, the
            box head does not.
        usable: optional boolean tensor `[B, N]`, false for boxes that are ignored; they do not
            count for an object's best overlap.

    Returns:
        An int32 tensor `[B, N]`: the index of a target, -1 for background, -2 for ignored.

    Raises:
        ValueError: unless `0 < negative <= positive <= 1` and `0 <= minimum <= 1`.

    Example:
    >>> from keras import ops
    >>> from keras_dla.detection.ops.box_matcher import match_boxes
    >>> boxes = [[0, 0, 8, 8], [0, 0, 8, 6], [0, 0, 8, 4], [20, 20, 28, 28]]
    >>> targets, valid = [[[0, 0, 8, 8], [20, 20, 24, 24]]], [[True, True]]
    >>> found = match_boxes(boxes, targets, valid, 0.7, 0.6, 0.2, low_quality=False)
    >>> ops.convert_to_numpy(found).tolist()
    [[0, 0, -1, -1]]
    >>> found = match_boxes(boxes, targets, valid, 0.7, 0.6, 0.2, low_quality=True)
    >>> ops.convert_to_numpy(found).tolist()
    [[0, 0, -1, 1]]
    """
    _check_thresholds(positive, negative, minimum)
    boxes = ops.stop_gradient(ops.cast(boxes, "float32"))
    targets = ops.stop_gradient(ops.cast(targets, "float32"))
    valid = ops.cast(valid, "bool")
    least = minimum if low_quality else None
    best, match, taken = _go_through(boxes, targets, valid, least, usable)
    matches = ops.where(best < negative, BACKGROUND, IGNORED)
    matches = ops.where(best >= positive, match, matches)
    matches = ops.where(taken >= 0, taken, matches)
    if usable is not None:
        matches = ops.where(usable, matches, IGNORED)
    return ops.cast(matches, "int32")


def _go_through(boxes, targets, valid, minimum, usable):
    """Returns each box's largest overlap, its target, and its low-quality target, all `[B, N]`."""
    padded, number = targets.shape[1], boxes.shape[-2]
    shape = (ops.shape(targets)[0], number)
    nobody = ops.full(shape, -1, dtype="int32")
    none = ops.zeros(shape, "float32")
    if padded == 0 or number == 0:
        return none, nobody, nobody
    places = ops.arange(1, padded + 1, dtype="int32")
    end = ops.max(ops.where(valid, places, 0))

    def overlaps_with(target):
        target = ops.minimum(target, padded - 1)
        overlaps = elementwise_overlap(boxes, ops.take(targets, target, axis=1)[:, None])
        counts = ops.take(valid, target, axis=1)[:, None]
        counts = counts if usable is None else counts & usable
        return ops.where(counts, overlaps, 0.0)

    def unfinished(target, *_):
        return target < end

    # The overlaps come from the previous round: if they were computed here, a compiler could
    # compute them twice with different rounding, and no box would then equal the largest.
    def next_target(target, overlaps, best, match, taken):
        match = ops.where(overlaps > best, target, match)
        best = ops.maximum(overlaps, best)
        if minimum is not None:
            largest = ops.max(overlaps, axis=1, keepdims=True)
            takes = (largest > 0) & (largest >= minimum) & (overlaps == largest)
            taken = ops.where(takes, target, taken)
        return target + 1, overlaps_with(target + 1), best, match, taken

    first = ops.convert_to_tensor(0, "int32")
    loop = (first, overlaps_with(first), none, nobody, nobody)
    return ops.while_loop(unfinished, next_target, loop)[2:]


def _check_thresholds(positive, negative, minimum):
    if not 0 < negative <= positive <= 1 or not 0 <= minimum <= 1:
        raise ValueError(
            "`negative`, `positive` and `minimum` must be 0 < negative <= positive <= 1 and "
            f"0 <= minimum <= 1, but are {negative!r}, {positive!r} and {minimum!r}."
        )
