"""Faster R-CNN (Ren et al., 2015) with a feature pyramid (Lin et al., 2017), Table 3."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_dla.data.detection.preparation import ImagePreparation
from keras_dla.detection.backbones import feature_extractor, freeze, level_strides
from keras_dla.detection.detector import Detector, as_preparation
from keras_dla.detection.heads.box_head import BoxHead, box_detections, box_losses
from keras_dla.detection.heads.feature_pyramid import FeaturePyramid
from keras_dla.detection.heads.proposals import region_proposals, without_padding
from keras_dla.detection.heads.region_proposal_network import (
    RegionProposalNetwork,
    region_proposal_losses,
)
from keras_dla.detection.ops.anchors import level_anchors
from keras_dla.detection.ops.box_matcher import match_boxes
from keras_dla.detection.ops.box_sampler import sample_boxes
from keras_dla.detection.ops.roi_align import pyramid_roi_align
from keras_dla.detection.validation import check_inputs, check_positive_number, check_window
from keras_dla.layers.base_config import base_config
from keras_dla.ops.channels import spatial_axes
from keras_dla.utils.types import Nest, Tensor
from keras_dla.utils.validation import (
    check_feature_map,
    check_positive_integer,
    check_rate,
    standardize_data_format,
)

POOLED_SIZE = 7
POSITIVE_FRACTION = 0.25
OVERLAP = 0.5


class Sample(NamedTuple):
    """Proposals from which the second stage learns, those with an object first.

    Args:
        boxes: `[batch, R, 4]`.
        matches: int32 `[batch, R]`, the index of the object in each, negative for background.
        valid: boolean `[batch, R]`, false for padding.
    """

    boxes: object
    matches: object
    valid: object


@keras.saving.register_keras_serializable(package="keras_dla")
class FasterRCNN(Detector):
    """Faster R-CNN: a detector that proposes boxes and classifies their contents.

    Backbone, feature pyramid, region proposal network, RoIAlign and box head are as in
    MMDetection's `faster_rcnn_r50_fpn_1x`, which the paper uses in Section 4.2, and so are all
    settings that are not arguments. With 80 classes, `"resnet_50"` has 41.5M trainable parameters
    (`frozen_stages=1`), and `"dla_l_50"` 44.2M in total.

    Args:
        backbone: a network's name, such as `"dla_l_50"`, or a model with feature levels, see
            `keras_dla.detection.feature_extractor`.
        classes: integer, the number of classes, without background.
        frozen_stages: integer, the number of the backbone's first stages that are frozen, together
            with the layers before them; defaults to `0`. MMDetection freezes one stage of a
            pretrained backbone.
        norm_eval: boolean, whether the backbone's BN uses its moving statistics in training;
            defaults to `False`. MMDetection does this with pretrained backbones.
        channels: integer, channels of the feature pyramid and of the heads' convolutions; defaults
            to `256`.
        head_units: integer, units of the box head's two linear maps; defaults to `1024`.
        anchor_scale: number, side of an anchor in cells of its level; defaults to `8`.
        proposals: integer, the number of boxes per image that the second stage reads; defaults to
            `1000`.
        samples: integer, the number of them per image that the second stage's losses use; defaults
            to `512`.
        finest_scale: number, half the side in pixels from which a box is read from the second
            level; defaults to `56`.
        score_threshold: float, the threshold that the score of a detection must exceed; defaults to
            `0.05`.
        iou_threshold: float, the overlap above which the detection with the lower score of two of
            one class is suppressed; defaults to `0.5`.
        max_detections: integer, the number of detections per image that are returned; defaults to
            `100`.
        data_format: `"channels_last"` or `"channels_first"`, that of images and backbone; Keras's
            own by default.
        backbone_weights: string, path or `None`, a file for the backbone, as
            `keras_dla.detection.feature_extractor` takes it; defaults to `None`.
        class_names: sequence of strings, the names of the classes; defaults to None, those of the
            data in `fit`.
        preparation: `keras_dla.data.ImagePreparation`, how images are resized and normalised;
            defaults to None, that of the data in `fit`.
        roi_window: integer of at least 2 or `None`, the largest number of cells along each side
            that RoIAlign reads for a box; defaults to `None`, as many as the box needs, with the
            same results as MMDetection. `32` takes less time, but samples long boxes more coarsely;
            see `keras_dla.detection.roi_align`.

    Call arguments:
        inputs: a dictionary of `"images"` `[batch, height, width, 3]` (or channels first),
            normalised, of known size, and `"sizes"` `[batch, 2]`, the height and width of each
            image inside its padding. In training `fit` adds the targets: `"boxes"` `[batch, G, 4]`
            as (x1, y1, x2, y2) in pixels and `"classes"` `[batch, G]` below `classes`, -1 for
            padding.
        training: boolean or `None`, whether the layer trains; defaults to `None`, as Keras decides.

    Returns:
        A dictionary of detections, by descending score: `"boxes"` `[batch, max_detections, 4]`,
        `"scores"` and `"classes"` `[batch, max_detections]`, padded with class -1 and zeros. With
        targets, a dictionary of losses.

    Raises:
        ValueError: if an argument has a value that is not allowed, the backbone has no feature
            levels, or the size of the images is unknown; in training, if a target is missing or has
            another shape, or a `DetectionDataset` does not have `classes` classes.

    Example:
    >>> from keras_dla.data import DetectionDataset, ShapesSource
    >>> from keras_dla.detection import FasterRCNN
    >>> from keras_dla.models import ResNet
    >>> shape = {"padded_shape": (64, 64), "data_format": "channels_last"}
    >>> dataset = DetectionDataset(ShapesSource(2, 64), 2, shorter_side=64, **shape)
    >>> options = {"include_top": False, "data_format": "channels_last"}
    >>> backbone = ResNet((1, 1, 1), "dla_l", stem="imagenet", planes=(8, 8, 8), **options)
    >>> model = FasterRCNN(backbone, 3, channels=8, head_units=16, data_format="channels_last")
    >>> model.predict_on_batch(dataset[0][0])["boxes"].shape
    (2, 100, 4)
    """

    LOSSES: tuple[str, ...] = ("proposal_class_loss", "proposal_box_loss", "class_loss", "box_loss")

    def __init__(
        self,
        backbone: "str | keras.Model",
        classes: int,
        frozen_stages: int = 0,
        norm_eval: bool = False,
        channels: int = 256,
        head_units: int = 1024,
        anchor_scale: float = 8,
        proposals: int = 1000,
        samples: int = 512,
        finest_scale: float = 56,
        score_threshold: float = 0.05,
        iou_threshold: float = 0.5,
        max_detections: int = 100,
        data_format: str | None = None,
        backbone_weights: "str | os.PathLike | None" = None,
        class_names: Sequence[str] | None = None,
        preparation: ImagePreparation | Mapping[str, Any] | None = None,
        roi_window: int | None = None,
        **kwargs: Any,
    ):
        counts = {"classes": classes, "channels": channels, "head_units": head_units}
        counts |= {"proposals": proposals, "samples": samples, "max_detections": max_detections}
        for name, value in counts.items():
            check_positive_integer(name, value)
        check_positive_number("anchor_scale", anchor_scale)
        check_positive_number("finest_scale", finest_scale)
        check_window("roi_window", roi_window)
        check_rate("score_threshold", score_threshold)
        check_rate("iou_threshold", iou_threshold)
        data_format = standardize_data_format(data_format)
        extractor = feature_extractor(backbone, data_format, backbone_weights)
        freeze(extractor, frozen_stages)
        super().__init__(self.LOSSES, classes, **kwargs)
        self.backbone = extractor
        self.data_format = data_format
        self.settings: dict[str, Any] = {
            "classes": classes,
            "frozen_stages": frozen_stages,
            "norm_eval": norm_eval,
            "channels": channels,
            "head_units": head_units,
            "anchor_scale": anchor_scale,
            "proposals": proposals,
            "samples": samples,
            "finest_scale": finest_scale,
            "score_threshold": score_threshold,
            "iou_threshold": iou_threshold,
            "max_detections": max_detections,
            "roi_window": roi_window,
        }
        self.class_names = class_names
        self.preparation = as_preparation(preparation)
        self.strides = level_strides(extractor)
        self.seed_generator = keras.random.SeedGenerator()
        self._build_parts(classes, channels, head_units)

    def _build_parts(self, classes, channels, head_units):
        options = {"data_format": self.data_format, "dtype": self.dtype_policy}
        self.pyramid = FeaturePyramid(channels, name="pyramid", **options)
        self.proposal_network = RegionProposalNetwork(channels, name="proposal_network", **options)
        self.box_head = BoxHead(classes, head_units, name="box_head", **options)
        self.pyramid.build([tuple(x.shape) for x in self.backbone.output.values()])
        self.proposal_network.build([self._map_shape(None)])
        self.box_head.build((None, *self._map_shape(POOLED_SIZE)))
        self.built = True

    def _map_shape(self, size):
        channels = self.settings["channels"]
        if self.data_format == "channels_last":
            return None, size, size, channels
        return None, channels, size, size

    def build(self, input_shape: tuple | None = None) -> None:
        """Does nothing: all parts are built with the model."""

    def call(self, inputs: Tensor, training: bool | None = None) -> Nest:
        check_inputs("inputs", inputs)
        self._check_images(inputs["images"])
        maps = self._maps(inputs["images"], training)
        logits, deltas = self.proposal_network(maps)
        anchors = self._anchors(maps)
        # More candidates give a better sample; these are MMDetection's numbers too.
        candidates = self.settings["proposals"] * (2 if training else 1)
        boxes, valid = region_proposals(
            logits, deltas, anchors, inputs["sizes"], candidates, self.settings["proposals"]
        )
        if "boxes" not in inputs:
            return self._detections(maps, boxes, valid, inputs["sizes"])
        is_object = inputs["classes"] >= 0
        first = region_proposal_losses(
            logits,
            deltas,
            np.concatenate(anchors),
            inputs["boxes"],
            is_object,
            inputs["sizes"],
            self.seed_generator,
        )
        sample = self._sample(boxes, valid, inputs["boxes"], is_object)
        losses = (*first, *self._second_stage_losses(maps, sample, inputs))
        return dict(zip(self.LOSSES, losses, strict=True))

    def _check_images(self, images):
        check_feature_map("images", images.shape)
        size, least = self._size(images), self.strides[-1]
        if None in size:
            raise ValueError(
                "`images` must have a known height and width, but they are unknown: let the data "
                "set pad all images to the same size (`padded_shape`)."
            )
        if min(size) < least:
            raise ValueError(
                f"`images` must be at least {least} pixels high and wide, one cell of the coarsest "
                f"level, but are {size[0]} x {size[1]}."
            )

    def _maps(self, images, training):
        """Returns the feature pyramid, the finest level first."""
        if self.settings["norm_eval"]:
            training = False
        return self.pyramid(list(self.backbone(images, training=training).values()))

    def _anchors(self, maps):
        """Returns the anchors of every level, `[n, 4]`. The last level halves the one before."""
        sizes = [self._size(level) for level in maps]
        strides = [*self.strides, 2 * self.strides[-1]]
        scale = self.settings["anchor_scale"]
        return [level_anchors(*level, scale) for level in zip(sizes, strides, strict=True)]

    def _size(self, maps):
        return tuple(maps.shape[axis] for axis in spatial_axes(self.data_format))

    def _sample(self, boxes, valid, targets, is_object) -> Sample:
        """Draws a sample of the proposals and of the objects' own boxes."""
        boxes = ops.concatenate([boxes, ops.cast(targets, boxes.dtype)], axis=1)
        valid = ops.concatenate([valid, is_object], axis=1)
        matches = match_boxes(boxes, targets, is_object, OVERLAP, OVERLAP, OVERLAP, False)
        matches = ops.where(valid, matches, -2)
        chosen, valid = sample_boxes(
            matches, self.settings["samples"], POSITIVE_FRACTION, self.seed_generator
        )
        boxes = ops.take_along_axis(boxes, chosen[..., None], axis=1)
        return Sample(boxes, ops.take_along_axis(matches, chosen, axis=1), valid)

    def _second_stage_losses(self, maps, sample, targets):
        logits, deltas = self.box_head(self._crops(maps, sample.boxes, POOLED_SIZE))
        return box_losses(
            logits,
            deltas,
            sample.boxes,
            sample.matches,
            sample.valid,
            targets["boxes"],
            targets["classes"],
        )

    def _detections(self, maps, boxes, valid, sizes):
        boxes, valid = without_padding(boxes, valid)
        logits, deltas = self.box_head(self._crops(maps, boxes, POOLED_SIZE))
        thresholds = ("score_threshold", "iou_threshold", "max_detections")
        found = box_detections(
            logits,
            deltas,
            boxes,
            valid,
            sizes,
            **{name: self.settings[name] for name in thresholds},
        )
        return {name: found[name] for name in ("boxes", "scores", "classes")}

    def _crops(self, maps, boxes, size):
        """Returns `[batch, R, size, size, channels]` or channels first, without the last level."""
        return pyramid_roi_align(
            maps[:-1],
            boxes,
            self.strides,
            size,
            self.settings["finest_scale"],
            self.settings["roi_window"],
            data_format=self.data_format,
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **base_config(self),
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            **self.settings,
            "data_format": self.data_format,
            **self._known_data(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict | None = None) -> Any:
        backbone = keras.saving.deserialize_keras_object(config["backbone"], custom_objects)
        return cls(**{**config, "backbone": backbone})
