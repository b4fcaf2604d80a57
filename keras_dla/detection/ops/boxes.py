"""Boxes (x1, y1, x2, y2) in pixels: areas, overlaps, clipping. Always in float32."""

from keras import ops

from keras_dla.utils.types import Tensor

# A union smaller than this, in square pixels, counts as this, so boxes without area overlap by 0.
SMALLEST_UNION = 1e-6


def box_area(boxes: Tensor) -> Tensor:
    """Returns the areas of boxes; a box with a side that is zero or negative has an area of 0.

    Args:
        boxes: tensor `[..., 4]`.

    Returns:
        A float32 tensor `[...]`.

    Example:
    >>> from keras import ops
    >>> from keras_dla.detection.ops.boxes import box_area
    >>> ops.convert_to_numpy(box_area([[1, 1, 3, 4], [2, 2, 2, 9], [5, 5, 4, 4]])).tolist()
    [6.0, 0.0, 0.0]
    """
    x1, y1, x2, y2 = ops.unstack(ops.cast(boxes, "float32"), 4, axis=-1)
    return ops.maximum(x2 - x1, 0.0) * ops.maximum(y2 - y1, 0.0)


def elementwise_overlap(a: Tensor, b: Tensor) -> Tensor:
    """Returns the intersection over union of pairs of boxes, element by element.

    Args:
        a: tensor `[..., 4]`.
        b: tensor `[..., 4]` whose leading axes broadcast against those of `a`.

    Returns:
        A float32 tensor `[...]` from 0 to 1. Boxes without area overlap nothing, not even
        themselves.

    Example:
    >>> from keras_dla.detection.ops.boxes import elementwise_overlap
    >>> float(elementwise_overlap([0, 0, 2, 2], [0, 0, 2, 4]))
    0.5
    """
    a, b = ops.cast(a, "float32"), ops.cast(b, "float32")
    a_x1, a_y1, a_x2, a_y2 = ops.unstack(a, 4, axis=-1)
    b_x1, b_y1, b_x2, b_y2 = ops.unstack(b, 4, axis=-1)
    width = ops.maximum(ops.minimum(a_x2, b_x2) - ops.maximum(a_x1, b_x1), 0.0)
    height = ops.maximum(ops.minimum(a_y2, b_y2) - ops.maximum(a_y1, b_y1), 0.0)
    intersection = width * height
    union = box_area(a) + box_area(b) - intersection
    return intersection / ops.maximum(union, SMALLEST_UNION)


def intersection_over_union(a: Tensor, b: Tensor) -> Tensor:
    """Returns intersection over union of every box of `a` with every box of `b`.

    Args:
        a: tensor `[..., N, 4]`.
        b: tensor `[..., M, 4]`; the leading axes broadcast.

    Returns:
        A float32 tensor `[..., N, M]` from 0 to 1. Boxes without area overlap nothing, not even
        themselves.

    Example:
    >>> from keras import ops
    >>> from keras_dla.detection.ops.boxes import intersection_over_union
    >>> overlaps = intersection_over_union([[0, 0, 2, 2]], [[0, 0, 2, 4], [2, 2, 3, 3]])
    >>> ops.convert_to_numpy(overlaps).tolist()
    [[0.5, 0.0]]
    """
    a, b = ops.cast(a, "float32"), ops.cast(b, "float32")
    return elementwise_overlap(ops.expand_dims(a, -2), ops.expand_dims(b, -3))


def clip_boxes(boxes: Tensor, sizes: Tensor) -> Tensor:
    """Moves the corners of boxes that are outside their image to its border.

    Args:
        boxes: tensor `[..., 4]`, such as `[B, N, 4]`.
        sizes: tensor `[..., 2]` of heights and widths, such as `[B, 2]`; its leading axes are the
            first axes of `boxes`.

    Returns:
        A float32 tensor of the shape of `boxes`.

    Example:
    >>> from keras import ops
    >>> from keras_dla.detection.ops.boxes import clip_boxes
    >>> ops.convert_to_numpy(clip_boxes([[[-3, 2, 12, 30]]], [[20, 10]])).tolist()
    [[[0.0, 2.0, 10.0, 20.0]]]
    """
    boxes, sizes = ops.cast(boxes, "float32"), ops.cast(sizes, "float32")
    height, width = ops.unstack(sizes, 2, axis=-1)
    largest = ops.stack([width, height, width, height], axis=-1)
    for _ in range(len(boxes.shape) - len(sizes.shape)):
        largest = ops.expand_dims(largest, -2)
    return ops.minimum(ops.maximum(boxes, 0.0), largest)
