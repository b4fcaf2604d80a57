"""The box head of Faster R-CNN, which classifies proposals and refines their boxes."""

import math
from typing import Any

import keras
from keras import ops

from keras_dla.detection.ops.box_coder import BoxCoder
from keras_dla.detection.ops.losses import absolute_error, gather_targets
from keras_dla.detection.ops.non_maximum_suppression import class_detections
from keras_dla.layers.core.linear import dense
from keras_dla.utils.types import Nest, Tensor
from keras_dla.utils.validation import standardize_data_format

BOX_CODER = BoxCoder((0.1, 0.1, 0.2, 0.2))


@keras.saving.register_keras_serializable(package="keras_dla")
class BoxHead(keras.layers.Layer):
    """Two linear maps with ReLU, followed by class scores and one box per class.

    Args:
        classes: integer, the number of classes; background is an additional one, the last.
        units: integer, units of the two linear maps.
        data_format: `"channels_last"` or `"channels_first"`; Keras's own by default.

    Call arguments:
        inputs: `[batch, R, height, width, channels]` or channels first, the output of RoIAlign.

    Returns:
        Logits `[batch, R, classes + 1]` and box deltas `[batch, R, classes, 4]` in float32 at
        least.

    Example:
    >>> import numpy as np
    >>> from keras_dla.detection.heads.box_head import BoxHead
    >>> head = BoxHead(classes=3, units=16, data_format="channels_last")
    >>> [tuple(x.shape) for x in head(np.ones((1, 5, 7, 7, 8), "float32"))]
    [(1, 5, 4), (1, 5, 3, 4)]
    """

    def __init__(
        self, classes: int, units: int = 1024, data_format: str | None = None, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.classes = classes
        self.units = units
        self.hidden = [self._dense(units, f"hidden{n}", "glorot_uniform", "relu") for n in (1, 2)]
        self.logits = self._dense(classes + 1, "logits", _normal(0.01))
        self.deltas = self._dense(4 * classes, "deltas", _normal(0.001))

    def _dense(self, units, name, initializer, activation=None):
        return dense(
            units,
            activation=activation,
            kernel_initializer=initializer,
            dtype=self.dtype_policy,
            name=name,
        )

    def build(self, input_shape: tuple) -> None:
        self.hidden[0].build((None, math.prod(input_shape[2:])))
        for layer in (self.hidden[1], self.logits, self.deltas):
            layer.build((None, self.units))

    def call(self, inputs: Tensor) -> Nest:
        count = inputs.shape[1]
        # The same order in both formats, so that the weights are the same.
        if self.data_format == "channels_first":
            inputs = ops.transpose(inputs, (0, 1, 3, 4, 2))
        x = ops.reshape(inputs, (-1, count, math.prod(inputs.shape[2:])))
        for layer in self.hidden:
            x = layer(x)
        deltas = ops.reshape(self.deltas(x), (-1, count, self.classes, 4))
        return ops.cast(self.logits(x), self.variable_dtype), ops.cast(deltas, self.variable_dtype)

    def compute_output_shape(self, input_shape: tuple) -> Any:
        return (*input_shape[:2], self.classes + 1), (*input_shape[:2], self.classes, 4)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "classes": self.classes,
            "units": self.units,
            "data_format": self.data_format,
        }


def _normal(deviation):
    return keras.initializers.RandomNormal(stddev=deviation)


def box_losses(
    logits: Tensor,
    deltas: Tensor,
    proposals: Tensor,
    matches: Tensor,
    sampled: Tensor,
    boxes: Tensor,
    classes: Tensor,
) -> tuple:
    """Returns the losses of the box head on sampled proposals.

    Args:
        logits: `[batch, R, C + 1]`.
        deltas: `[batch, R, C, 4]`.
        proposals: `[batch, R, 4]`.
        matches: int32 `[batch, R]`, the index of the object in each proposal, negative for
            background.
        sampled: boolean `[batch, R]`, the proposals that count.
        boxes: `[batch, G, 4]`, the objects' boxes.
        classes: `[batch, G]`, their classes.

    Returns:
        The cross-entropy and the L1 loss, both averaged over the proposals that count.
    """
    background = logits.shape[-1] - 1
    positive = matches >= 0
    labels = ops.where(positive, gather_targets(ops.cast(classes, "int32"), matches), background)
    weights = ops.cast(sampled, "float32")
    count = ops.maximum(ops.sum(weights), 1.0)
    likelihood = ops.log_softmax(logits, axis=-1) * ops.one_hot(labels, background + 1)
    class_loss = -ops.sum(weights * ops.sum(likelihood, axis=-1)) / count
    targets = BOX_CODER.encode(proposals, gather_targets(boxes, matches))
    of_class = ops.one_hot(ops.where(positive, labels, -1), background)
    own = ops.sum(deltas * of_class[..., None], axis=2)
    weights = weights * ops.cast(positive, "float32")
    return class_loss, ops.sum(weights * absolute_error(targets, own)) / count


def box_detections(
    logits: Tensor,
    deltas: Tensor,
    proposals: Tensor,
    valid: Tensor,
    sizes: Tensor,
    **thresholds: Any,
) -> dict:
    """Returns the detections, see `keras_dla.detection.FasterRCNN`, and their `"sources"`.

    Args:
        logits: `[batch, R, C + 1]`.
        deltas: `[batch, R, C, 4]`.
        proposals: `[batch, R, 4]`.
        valid: boolean `[batch, R]`, false for padding.
        sizes: `[batch, 2]`, height and width of the images.
        **thresholds: further arguments of `class_detections`.
    """
    scores = ops.softmax(logits, axis=-1)[..., :-1] * ops.cast(valid[..., None], "float32")
    boxes = BOX_CODER.decode(proposals[:, :, None], deltas, sizes)
    return class_detections(boxes, scores, **thresholds)
