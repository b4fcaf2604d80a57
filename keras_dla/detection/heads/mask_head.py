"""The mask head of Mask R-CNN (He et al., 2017), which predicts the object's pixels in a box."""

from typing import Any

import keras
from keras import ops

from keras_dla.detection.ops.losses import binary_cross_entropy, gather_targets
from keras_dla.detection.ops.roi_align import roi_align
from keras_dla.layers.core.convolution import Conv2D
from keras_dla.layers.core.linear import dense
from keras_dla.layers.initializers import he_normal_fan_out
from keras_dla.ops.channels import channel_axis
from keras_dla.ops.products import einsum
from keras_dla.utils.types import Nest, Tensor
from keras_dla.utils.validation import standardize_data_format


@keras.saving.register_keras_serializable(package="keras_dla")
class MaskHead(keras.layers.Layer):
    """Four 3x3 convolutions, a transposed one that doubles the size, and one mask per class.

    Args:
        classes: integer, the number of classes.
        channels: integer, channels of the convolutions.
        data_format: `"channels_last"` or `"channels_first"`; Keras's own by default.

    Call arguments:
        inputs: `[batch, R, size, size, channels]` or channels first, the output of RoIAlign.

    Returns:
        Logits `[batch, R, 2 * size, 2 * size, classes]` in float32 at least.

    Example:
    >>> import numpy as np
    >>> from keras_dla.detection.heads.mask_head import MaskHead
    >>> head = MaskHead(classes=3, channels=8, data_format="channels_last")
    >>> tuple(head(np.ones((1, 5, 14, 14, 8), "float32")).shape)
    (1, 5, 28, 28, 3)
    """

    def __init__(
        self, classes: int, channels: int = 256, data_format: str | None = None, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.classes = classes
        self.channels = channels
        self.data_format = standardize_data_format(data_format)
        options = {"kernel_initializer": he_normal_fan_out(), "dtype": self.dtype_policy}
        self.convolutions = [
            Conv2D(
                channels,
                3,
                use_bias=True,
                activation="relu",
                data_format=self.data_format,
                name=f"convolution{number}",
                **options,
            )
            for number in (1, 2, 3, 4)
        ]
        # These two read channels-last maps, the only ones that TensorFlow supports on a CPU.
        self.upsampling = keras.layers.Conv2DTranspose(
            channels,
            2,
            strides=2,
            activation="relu",
            data_format="channels_last",
            name="upsampling",
            **options,
        )
        self.logits = dense(classes, name="logits", **options)

    def build(self, input_shape: tuple) -> None:
        shape = list(input_shape[:1] + input_shape[2:])
        for layer in self.convolutions:
            layer.build(tuple(shape))
            shape[channel_axis(self.data_format)] = self.channels
        self.upsampling.build((None, None, None, self.channels))
        self.logits.build((None, self.channels))

    def call(self, inputs: Tensor) -> Nest:
        count = inputs.shape[1]
        x = ops.reshape(inputs, (-1, *inputs.shape[2:]))
        for layer in self.convolutions:
            x = layer(x)
        if self.data_format == "channels_first":
            x = ops.transpose(x, (0, 2, 3, 1))
        x = self.logits(self.upsampling(x))
        x = ops.reshape(x, (-1, count, *x.shape[1:]))
        return ops.cast(x, self.variable_dtype)

    def compute_output_shape(self, input_shape: tuple) -> Any:
        size = 2 * input_shape[3]
        return (*input_shape[:2], size, size, self.classes)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "classes": self.classes,
            "channels": self.channels,
            "data_format": self.data_format,
        }


def mask_of_class(masks: Tensor, classes: Tensor) -> Tensor:
    """Returns the mask of each box's own class, `[batch, R, size, size]`.

    Args:
        masks: `[batch, R, size, size, C]`.
        classes: int32 `[batch, R]`; the mask of a negative class is zero.
    """
    chosen = ops.one_hot(classes, masks.shape[-1], dtype=masks.dtype)
    return einsum("brijc,brc->brij", masks, chosen)


def mask_targets(
    masks: Tensor, boxes: Tensor, proposals: Tensor, matches: Tensor, size: int
) -> Tensor:
    """Returns the part of each proposal's object that is inside the proposal.

    Args:
        masks: `[batch, G, M, M]`, objects inside their boxes, resampled to M x M.
        boxes: `[batch, G, 4]`, these boxes.
        proposals: `[batch, R, 4]`.
        matches: int32 `[batch, R]`, the object in each proposal.
        size: integer, of the targets.

    Returns:
        Float32 `[batch, R, size, size]`, 0 or 1.
    """
    _, count, side, _ = masks.shape
    own = gather_targets(boxes, matches)
    corner = ops.concatenate([own[..., :2], own[..., :2]], axis=-1)
    extent = ops.maximum(own[..., 2:] - own[..., :2], 1e-6)
    extent = ops.concatenate([extent, extent], axis=-1)
    places = (proposals - corner) / extent * side
    # All objects of the batch form one batch of maps, from which each proposal reads its own.
    maps = ops.reshape(ops.cast(masks, "float32"), (-1, side, side, 1))
    indices = ops.maximum(matches, 0) + count * ops.arange(ops.shape(masks)[0])[:, None]
    cut = roi_align(maps, places, 1, size, indices, data_format="channels_last")
    return ops.cast(cut[..., 0] >= 0.5, "float32")


def mask_loss(logits: Tensor, targets: Tensor, classes: Tensor, positive: Tensor) -> Tensor:
    """Returns the mean cross-entropy of the masks of the true classes.

    Args:
        logits: `[batch, R, size, size, C]`.
        targets: `[batch, R, size, size]`.
        classes: int32 `[batch, R]`.
        positive: boolean `[batch, R]`, the proposals with an object.
    """
    errors = binary_cross_entropy(targets, mask_of_class(logits, classes))
    weights = ops.cast(positive, "float32")
    count = ops.maximum(ops.sum(weights), 1.0)
    return ops.sum(weights * ops.mean(errors, axis=(2, 3))) / count
