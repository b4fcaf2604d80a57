"""Boxes as deltas from reference boxes, the form in which R-CNN's heads predict them."""

import math
from dataclasses import dataclass

from keras import ops

from keras_dla.detection.ops.boxes import clip_boxes
from keras_dla.utils.types import Tensor

# A side of a predicted box is 16 / 1000 to 1000 / 16 times as long as that of its reference.
LARGEST_LOG_RATIO = abs(math.log(16 / 1000))
# A side shorter than this, in pixels, counts as zero and is not used as a unit.
SHORTEST_SIDE = 1e-6


@dataclass(frozen=True)
class BoxCoder:
    """Encodes boxes as deltas from reference boxes, and decodes them.

    With centres (x, y), widths w and heights h, and `r` for the reference:

        deltas = ((x - x_r) / w_r, (y - y_r) / h_r, log(w / w_r), log(h / h_r)) / deviations

    Args:
        deviations: tuple of four positive floats, by which the deltas are divided. MMDetection uses
            (1, 1, 1, 1) in the region proposal network and (0.1, 0.1, 0.2, 0.2) in the box head;
            defaults to (1, 1, 1, 1).

    Raises:
        ValueError: when `deviations` are not four positive numbers.

    Source:
        Girshick et al., 2014, Appendix C: https://arxiv.org/abs/1311.2524

    Example:
    >>> from keras import ops
    >>> from keras_dla.detection.ops.box_coder import BoxCoder
    >>> coder = BoxCoder((0.5, 0.5, 1, 1))
    >>> ops.convert_to_numpy(coder.encode([[0, 0, 10, 20]], [[5, 10, 15, 30]])).tolist()
    [[1.0, 1.0, 0.0, 0.0]]
    """

    deviations: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        if len(self.deviations) != 4 or not all(number > 0 for number in self.deviations):
            raise ValueError(
                f"`deviations` must be four positive numbers, but is {self.deviations!r}."
            )

    def encode(self, references: Tensor, boxes: Tensor) -> Tensor:
        """Returns the deltas that turn `references` into `boxes`.

        If a side is zero or negative, so that the delta is undefined, it is 0.

        Args:
            references: tensor, `[..., 4]`, boxes in pixels, such as anchors or proposals.
            boxes: tensor, `[..., 4]`, the targets; the leading axes broadcast.

        Returns:
            A float32 tensor `[..., 4]`, always finite.
        """
        x_r, y_r, w_r, h_r = _centres_and_sides(references)
        x, y, w, h = _centres_and_sides(boxes)
        deltas = [
            _quotient(x - x_r, w_r),
            _quotient(y - y_r, h_r),
            _log_ratio(w, w_r),
            _log_ratio(h, h_r),
        ]
        pairs = zip(deltas, self.deviations, strict=True)
        return ops.stack([delta / deviation for delta, deviation in pairs], axis=-1)

    def decode(self, references: Tensor, deltas: Tensor, sizes: Tensor = None) -> Tensor:
        """Returns the boxes that result from `references` and `deltas`: the inverse of `encode`.

        The two logarithms are clipped at |log(16 / 1000)|, after the multiplication by the
        deviations.

        Args:
            references: tensor, `[..., 4]`; a reference without area gives a box without area.
            deltas: tensor, `[..., 4]`; the leading axes broadcast, for example `[B, N, 1, 4]`
                references with `[B, N, classes, 4]` deltas.
            sizes: tensor, `[B, 2]`, heights and widths in pixels to which boxes are clipped;
                defaults to None, no clipping.

        Returns:
            A float32 tensor `[..., 4]`.

        Example:
        >>> from keras import ops
        >>> from keras_dla.detection.ops.box_coder import BoxCoder
        >>> coder = BoxCoder((0.5, 0.5, 1, 1))
        >>> decoded = coder.decode([[[0, 0, 10, 20]]], [[[1, 1, 0, 0]]], [[25, 50]])
        >>> ops.convert_to_numpy(decoded).tolist()
        [[[5.0, 10.0, 15.0, 25.0]]]
        """
        x_r, y_r, w_r, h_r = _centres_and_sides(references)
        dx, dy, dw, dh = ops.unstack(ops.cast(deltas, "float32"), 4, axis=-1)
        x = x_r + w_r * (dx * self.deviations[0])
        y = y_r + h_r * (dy * self.deviations[1])
        half_w = 0.5 * w_r * _clipped_exp(dw * self.deviations[2])
        half_h = 0.5 * h_r * _clipped_exp(dh * self.deviations[3])
        boxes = ops.stack([x - half_w, y - half_h, x + half_w, y + half_h], axis=-1)
        return boxes if sizes is None else clip_boxes(boxes, sizes)


def _centres_and_sides(boxes):
    x1, y1, x2, y2 = ops.unstack(ops.cast(boxes, "float32"), 4, axis=-1)
    return 0.5 * (x1 + x2), 0.5 * (y1 + y2), x2 - x1, y2 - y1


def _quotient(numerator, side):
    # The side is replaced before the division too, because the gradient would be NaN otherwise.
    exists = side >= SHORTEST_SIDE
    return ops.where(exists, numerator / ops.where(exists, side, 1.0), 0.0)


def _log_ratio(side, reference_side):
    exists = ops.logical_and(side >= SHORTEST_SIDE, reference_side >= SHORTEST_SIDE)
    ratio = ops.where(exists, side, 1.0) / ops.where(exists, reference_side, 1.0)
    return ops.log(ratio)


def _clipped_exp(log_ratio):
    return ops.exp(ops.clip(log_ratio, -LARGEST_LOG_RATIO, LARGEST_LOG_RATIO))
