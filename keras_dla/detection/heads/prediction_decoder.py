"""Turns boxes and scores into detections, as the last step of KerasCV's detectors."""

from typing import Any

import keras
from keras import ops

from keras_dla.detection.ops.non_maximum_suppression import class_detections
from keras_dla.detection.validation import check_fraction
from keras_dla.utils.types import Nest, Tensor
from keras_dla.utils.validation import check_positive_integer


@keras.saving.register_keras_serializable(package="keras_dla")
class PredictionDecoder(keras.layers.Layer):
    """Non-maximum suppression per class, as the `prediction_decoder` of KerasCV's detectors.

    It replaces `keras_cv.layers.NonMaxSuppression` and runs on every backend with the same result.
    As in MMDetection, a box may be kept for several classes, and boxes of different classes do not
    suppress each other.

    Args:
        from_logits: boolean, whether a sigmoid turns the scores into probabilities; defaults to
            `True`.
        score_threshold: float, the threshold that a probability must exceed; defaults to `0.05`.
        iou_threshold: float, the overlap above which the box with the lower score of two of one
            class is suppressed; defaults to `0.5`.
        max_detections: integer, the number of detections per image that are returned; defaults to
            `100`.
        candidates: integer, the number of highest-scoring pairs of box and class per image that are
            considered; defaults to `2000`.
        **kwargs: further arguments of `keras.layers.Layer`.

    Call arguments:
        box_prediction: `[batch, boxes, 4]` as (x1, y1, x2, y2) in pixels.
        class_prediction: `[batch, boxes, classes]`.
        images: not used; part of KerasCV's protocol.
        image_shape: not used; part of KerasCV's protocol.

    Returns:
        A dictionary of `"boxes"` `[batch, max_detections, 4]`, `"confidence"` and `"classes"`
        `[batch, max_detections]`, by descending confidence, padded with class -1 and zeros; and
        `"num_detections"` `[batch]`.

    Raises:
        ValueError: if an argument has a value that is not allowed.

    Example:
    >>> import numpy as np
    >>> from keras import ops
    >>> from keras_dla.detection.heads.prediction_decoder import PredictionDecoder
    >>> boxes = np.array([[[0, 0, 9, 9], [0, 0, 9, 8], [20, 0, 29, 9]]], "float32")
    >>> scores = np.array([[[0.5], [0.75], [0.25]]], "float32")
    >>> found = PredictionDecoder(from_logits=False, max_detections=4)(boxes, scores)
    >>> [ops.convert_to_numpy(found[n]).tolist() for n in ("classes", "num_detections")]
    [[[0, 0, -1, -1]], [2]]
    """

    # KerasCV reads this from its decoder and converts boxes to it.
    bounding_box_format = "xyxy"

    def __init__(
        self,
        from_logits: bool = True,
        score_threshold: float = 0.05,
        iou_threshold: float = 0.5,
        max_detections: int = 100,
        candidates: int = 2000,
        **kwargs: Any,
    ):
        check_fraction("score_threshold", score_threshold)
        check_fraction("iou_threshold", iou_threshold)
        check_positive_integer("max_detections", max_detections)
        check_positive_integer("candidates", candidates)
        # In 16 bits, the edges of boxes would move by whole pixels.
        super().__init__(**{"dtype": "float32", **kwargs})
        self.from_logits = from_logits
        self.score_threshold = score_threshold
        self.iou_threshold = iou_threshold
        self.max_detections = max_detections
        self.candidates = candidates
        self.built = True

    def call(
        self,
        box_prediction: Tensor,
        class_prediction: Tensor,
        images: Tensor = None,
        image_shape: tuple[int, int] | None = None,
    ) -> Nest:
        scores = ops.sigmoid(class_prediction) if self.from_logits else class_prediction
        found = class_detections(
            ops.expand_dims(box_prediction, 2),
            scores,
            self.score_threshold,
            self.iou_threshold,
            self.max_detections,
            self.candidates,
        )
        found_any = ops.cast(found["classes"] >= 0, "int32")
        return {
            "boxes": found["boxes"],
            "confidence": found["scores"],
            "classes": found["classes"],
            "num_detections": ops.sum(found_any, axis=-1),
        }

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "from_logits": self.from_logits,
            "score_threshold": self.score_threshold,
            "iou_threshold": self.iou_threshold,
            "max_detections": self.max_detections,
            "candidates": self.candidates,
        }
