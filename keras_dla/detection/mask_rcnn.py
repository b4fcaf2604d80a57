"""Mask R-CNN (He et al., 2017), Table 3."""

import keras
from keras import ops

from keras_dla.detection.faster_rcnn import POSITIVE_FRACTION, FasterRCNN
from keras_dla.detection.heads.mask_head import MaskHead, mask_loss, mask_of_class, mask_targets
from keras_dla.detection.ops.losses import gather_targets

POOLED_SIZE = 14


@keras.saving.register_keras_serializable(package="keras_dla")
class MaskRCNN(FasterRCNN):
    """Mask R-CNN: Faster R-CNN that also predicts which pixels of a box belong to the object.

    The mask head and its targets are as in MMDetection's `mask_rcnn_r50_fpn_1x`. With 80 classes,
    `"resnet_50"` has 44.2M trainable parameters (`frozen_stages=1`), and `"dla_l_50"` 46.9M in
    total.

    Args:
        backbone: see `keras_dla.detection.FasterRCNN`, all of whose arguments apply here too.
        classes: integer, the number of classes, without background.
        **kwargs: further arguments of `keras_dla.detection.FasterRCNN`.

    Call arguments:
        inputs: as in `keras_dla.detection.FasterRCNN`; the targets also have `"masks"` `[batch, G,
            M, M]`: every object inside its own box, resampled to M x M, with values from 0 to 1.
        training: boolean or `None`, whether the layer trains; defaults to `None`, as Keras decides.

    Returns:
        The detections of `keras_dla.detection.FasterRCNN`, and `"masks"` `[batch, max_detections,
        28, 28]`: the probability of each pixel inside the box.

    Raises:
        ValueError: see `keras_dla.detection.FasterRCNN`.

    Example:
    >>> from keras_dla.detection import MaskRCNN
    >>> from keras_dla.models import ResNet
    >>> options = {"include_top": False, "data_format": "channels_last"}
    >>> backbone = ResNet((1, 1, 1), "dla_l", stem="imagenet", planes=(8, 8, 8), **options)
    >>> model = MaskRCNN(backbone, 3, channels=8, head_units=16, data_format="channels_last")
    >>> model.LOSSES[-1]
    'mask_loss'
    """

    LOSSES: tuple[str, ...] = (*FasterRCNN.LOSSES, "mask_loss")
    TARGETS: tuple[str, ...] = (*FasterRCNN.TARGETS, "masks")

    def _build_parts(self, classes, channels, head_units):
        super()._build_parts(classes, channels, head_units)
        self.mask_head = MaskHead(
            classes, channels, self.data_format, dtype=self.dtype_policy, name="mask_head"
        )
        self.mask_head.build((None, *self._map_shape(POOLED_SIZE)))

    def _second_stage_losses(self, maps, sample, targets):
        losses = super()._second_stage_losses(maps, sample, targets)
        # A sample begins with its proposals that contain an object, at most this many.
        most = max(1, int(POSITIVE_FRACTION * self.settings["samples"]))
        boxes, matches, valid = (part[:, :most] for part in sample)
        logits = self.mask_head(self._crops(maps, boxes, POOLED_SIZE))
        wanted = mask_targets(targets["masks"], targets["boxes"], boxes, matches, logits.shape[2])
        classes = gather_targets(ops.cast(targets["classes"], "int32"), matches)
        return (*losses, mask_loss(logits, wanted, classes, valid & (matches >= 0)))

    def _detections(self, maps, boxes, valid, sizes):
        found = super()._detections(maps, boxes, valid, sizes)
        logits = self.mask_head(self._crops(maps, found["boxes"], POOLED_SIZE))
        found["masks"] = mask_of_class(ops.sigmoid(logits), found["classes"])
        return found
