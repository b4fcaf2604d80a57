"""The region proposal network, RPN (Ren et al., 2015)."""

from typing import Any

import keras
from keras import ops

from keras_dla.detection.ops.box_coder import BoxCoder
from keras_dla.detection.ops.box_matcher import match_boxes
from keras_dla.detection.ops.box_sampler import sample_mask
from keras_dla.detection.ops.losses import absolute_error, binary_cross_entropy, gather_targets
from keras_dla.layers.core.convolution import Conv2D
from keras_dla.ops.channels import channel_axis
from keras_dla.utils.types import Nest, Tensor
from keras_dla.utils.validation import standardize_data_format

# MMDetection pads images to multiples of this.
DIVISOR = 32
# From the first overlap on, an anchor is positive; below the second, it is background.
POSITIVE, NEGATIVE = 0.7, 0.3
SAMPLES, POSITIVE_FRACTION = 256, 0.5
BOX_CODER = BoxCoder((1.0, 1.0, 1.0, 1.0))


@keras.saving.register_keras_serializable(package="keras_dla")
class RegionProposalNetwork(keras.layers.Layer):
    """Predicts for every anchor whether there is an object, and the object's box.

    A 3x3 convolution with ReLU and two 1x1 convolutions, the same at every level.

    Args:
        channels: integer, channels of the 3x3 convolution.
        anchors: integer, the number of anchors per position.
        data_format: `"channels_last"` or `"channels_first"`; Keras's own by default.

    Call arguments:
        maps: list of `[batch, height, width, channels]` or channels first, a feature pyramid.

    Returns:
        Logits `[batch, N]` and box deltas `[batch, N, 4]` in float32 at least. The anchors are in
        the order of `keras_dla.detection.ops.anchors.level_anchors`, level by level.

    Example:
    >>> import numpy as np
    >>> from keras_dla.detection.heads.region_proposal_network import RegionProposalNetwork
    >>> network = RegionProposalNetwork(16, data_format="channels_last")
    >>> maps = [np.ones((1, 4, 4, 8), "float32"), np.ones((1, 2, 2, 8), "float32")]
    >>> [tuple(x.shape) for x in network(maps)]
    [(1, 60), (1, 60, 4)]
    """

    def __init__(
        self, channels: int = 256, anchors: int = 3, data_format: str | None = None, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.channels = channels
        self.anchors = anchors
        self.data_format = standardize_data_format(data_format)
        self.convolution = self._conv(channels, 3, "convolution", activation="relu")
        self.objectness = self._conv(anchors, 1, "objectness")
        self.deltas = self._conv(4 * anchors, 1, "deltas")

    def _conv(self, filters, size, name, **kwargs):
        normal = keras.initializers.RandomNormal(stddev=0.01)
        kwargs = {"data_format": self.data_format, "dtype": self.dtype_policy, **kwargs}
        return Conv2D(filters, size, use_bias=True, kernel_initializer=normal, name=name, **kwargs)

    def build(self, input_shape: list) -> None:
        self.convolution.build(input_shape[0])
        hidden_shape = list(input_shape[0])
        hidden_shape[channel_axis(self.data_format)] = self.channels
        self.objectness.build(tuple(hidden_shape))
        self.deltas.build(tuple(hidden_shape))

    def call(self, maps: Any) -> Nest:
        hidden = [self.convolution(level) for level in maps]
        logits = [self._by_anchor(self.objectness(level), 1) for level in hidden]
        deltas = [self._by_anchor(self.deltas(level), 4) for level in hidden]
        return ops.concatenate(logits, axis=1)[..., 0], ops.concatenate(deltas, axis=1)

    def _by_anchor(self, x, numbers):
        """Returns `[batch, height * width * anchors, numbers]`."""
        if self.data_format == "channels_first":
            x = ops.transpose(x, (0, 2, 3, 1))
        _, height, width, _ = x.shape
        x = ops.reshape(x, (-1, height * width * self.anchors, numbers))
        return ops.cast(x, self.variable_dtype)

    def compute_output_shape(self, input_shape: tuple) -> Any:
        axis = channel_axis(self.data_format) % 4
        batch = input_shape[0][0]
        sizes = [[n for i, n in enumerate(shape) if i not in (0, axis)] for shape in input_shape]
        known = all(None not in size for size in sizes)
        count = self.anchors * sum(h * w for h, w in sizes) if known else None
        return (batch, count), (batch, count, 4)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "channels": self.channels,
            "anchors": self.anchors,
            "data_format": self.data_format,
        }


def region_proposal_losses(
    logits: Tensor,
    deltas: Tensor,
    anchors: Any,
    boxes: Tensor,
    valid: Tensor,
    sizes: Tensor,
    seed: int | None,
) -> tuple:
    """Returns the losses of the RPN on a sample of the anchors inside the image.

    Args:
        logits: `[batch, N]`.
        deltas: `[batch, N, 4]`.
        anchors: `[N, 4]`.
        boxes: `[batch, G, 4]`, the objects' boxes.
        valid: boolean `[batch, G]`, false for padding.
        sizes: `[batch, 2]`, height and width of the images inside their padding.
        seed: `keras.random.SeedGenerator`, for the sample.

    Returns:
        The cross-entropy and the L1 loss, both averaged over the sample (256 anchors per image).
    """
    usable = in_image(anchors, sizes)
    thresholds = POSITIVE, NEGATIVE, NEGATIVE
    matches = match_boxes(anchors, boxes, valid, *thresholds, low_quality=True, usable=usable)
    positive, negative = sample_mask(matches, SAMPLES, POSITIVE_FRACTION, seed)
    positive, negative = ops.cast(positive, "float32"), ops.cast(negative, "float32")
    sampled = positive + negative
    count = ops.maximum(ops.sum(sampled), 1.0)
    class_loss = ops.sum(sampled * binary_cross_entropy(positive, logits)) / count
    targets = BOX_CODER.encode(anchors, gather_targets(boxes, matches))
    box_loss = ops.sum(positive * absolute_error(targets, deltas)) / count
    return class_loss, box_loss


def in_image(anchors: Any, sizes: Tensor) -> Tensor:
    """Returns which anchors have their cell in the image padded to multiples of 32 pixels.

    Cells beyond exist only because there is a larger image in the batch; these are MMDetection's
    `valid_flags`.

    Args:
        anchors: `[N, 4]`, each around the upper left corner of its cell.
        sizes: `[batch, 2]`, height and width of the images.

    Returns:
        A boolean tensor `[batch, N]`.
    """
    anchors = ops.cast(anchors, "float32")
    # The corners of cells have integer coordinates.
    corners = ops.round((anchors[:, :2] + anchors[:, 2:]) / 2)
    ends = ops.ceil(ops.cast(sizes, "float32") / DIVISOR) * DIVISOR
    return (corners[:, 1] < ends[:, :1]) & (corners[:, 0] < ends[:, 1:])
