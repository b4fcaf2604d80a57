"""Detectors: Faster R-CNN, Mask R-CNN and RetinaNet with any backbone, and their evaluation."""

import keras_dla.utils.needs_keras as _needs_keras  # noqa: F401
from keras_dla.detection.backbones import feature_extractor
from keras_dla.detection.coco.confusion import confusion_matrix
from keras_dla.detection.coco.evaluation import CocoEvaluation, evaluate_coco
from keras_dla.detection.coco.report import DetectionReport, detection_report
from keras_dla.detection.coco.table import coco_table, coco_table_by_class
from keras_dla.detection.detect import Detections, detect
from keras_dla.detection.drawing import draw_detections
from keras_dla.detection.faster_rcnn import FasterRCNN
from keras_dla.detection.heads.feature_pyramid import FeaturePyramid
from keras_dla.detection.heads.prediction_decoder import PredictionDecoder
from keras_dla.detection.mask_rcnn import MaskRCNN
from keras_dla.detection.ops.non_maximum_suppression import (
    class_detections,
    non_maximum_suppression,
)
from keras_dla.detection.ops.roi_align import pyramid_roi_align, roi_align
from keras_dla.detection.retinanet import RetinaNet

__all__ = [
    "CocoEvaluation",
    "DetectionReport",
    "Detections",
    "FasterRCNN",
    "FeaturePyramid",
    "MaskRCNN",
    "PredictionDecoder",
    "RetinaNet",
    "class_detections",
    "coco_table",
    "coco_table_by_class",
    "confusion_matrix",
    "detect",
    "detection_report",
    "draw_detections",
    "evaluate_coco",
    "feature_extractor",
    "non_maximum_suppression",
    "pyramid_roi_align",
    "roi_align",
]
