"""KerasCV's RetinaNet with our backbones, on every backend."""

import contextlib
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_dla.data.detection.preparation import ImagePreparation
from keras_dla.detection.backbones import feature_extractor
from keras_dla.detection.detector import KnowsItsData, as_preparation
from keras_dla.detection.heads.prediction_decoder import PredictionDecoder
from keras_dla.detection.ops.boxes import clip_boxes
from keras_dla.detection.validation import check_inputs
from keras_dla.keras_internals.private_names import operation_of
from keras_dla.utils.types import Nest, Tensor
from keras_dla.utils.validation import check_positive_integer

LEVELS = ("P3", "P4", "P5")
# The coarsest level of a backbone; KerasCV halves it, rounding up, for the two above.
COARSEST = 32
STRIDES = (8, 16, 32, 64, 128)
ANCHOR_SIZES = (32.0, 64.0, 128.0, 256.0, 512.0)
ANCHOR_SCALES = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
ANCHOR_RATIOS = (0.5, 1.0, 2.0)
# As in `keras_cv.models.RetinaNet.decode_predictions`.
DEVIATIONS = (0.1, 0.1, 0.2, 0.2)
IGNORED, BACKGROUND = -2, -1


@keras.saving.register_keras_serializable(package="keras_dla")
class RetinaNet(KnowsItsData, keras.Model):
    """RetinaNet: a dense one-stage detector, trained with the focal loss.

    The network (pyramid P3 to P7, heads, nine anchors per position), its assignment of objects to
    anchors and its losses are those of `keras_cv.models.RetinaNet`; non-maximum suppression is done
    by `PredictionDecoder`, because KerasCV's needs TensorFlow's or torchvision's operators. Both
    losses are divided by the number of anchors with an object.

    Args:
        backbone: the name of an ImageNet network as `keras_dla.models.get_model` takes it, such as
            `"dla_l_50"`; a `keras.Model` with `pyramid_outputs`, such as
            `keras_dla.models.ResNet(..., include_top=False)`; or a functional model whose output is
            a dictionary of feature maps. It reads images in channels-last order, and has the levels
            `"P3"`, `"P4"` and `"P5"` (strides 8, 16 and 32).
        classes: integer, the number of classes, without background.
        image_shape: `(height, width)` of the padded images, multiples of 32. It is fixed, so that
            the anchors are constants: `DetectionDataset(..., padded_shape=image_shape)`.
        head_layers: integer, the number of convolutions in each head before its last one; defaults
            to `3`.
        anchor_sizes: five floats, the side in pixels of the smallest anchors of P3 to P7; defaults
            to `(32.0, 64.0, 128.0, 256.0, 512.0)`.
        score_threshold: float, the threshold that the score of a detection must exceed; defaults to
            `0.05`.
        iou_threshold: float, the overlap above which the detection with the lower score of two of
            one class is suppressed; defaults to `0.5`.
        max_detections: integer, the number of detections per image that are returned; defaults to
            `100`.
        candidates: integer, the number of highest-scoring pairs of box and class per image that are
            considered; defaults to `2000`.
        backbone_weights: string, path or `None`, a file for the backbone, as
            `keras_dla.detection.feature_extractor` takes it; defaults to `None`.
        class_names: sequence of strings, the names of the classes; defaults to None, those of the
            data in `fit`.
        preparation: `keras_dla.data.ImagePreparation`, how images are resized and normalised;
            defaults to None, that of the data in `fit`.
        **kwargs: further arguments of `keras.Model`.

    Call arguments:
        x: a dictionary of `"images"` `[batch, height, width, channels]`, normalised, and `"sizes"`
            `[batch, 2]`, the height and width of each image inside its padding.
        training: boolean or `None`, whether the layer trains; defaults to `None`, as Keras decides.

    Returns:
        When called, a dictionary of `"box"` `[batch, anchors, 4]` and `"classification"` `[batch,
        anchors, classes]` (logits). From `predict` and `predict_on_batch`: a dictionary of
        detections, `"boxes"` `[batch, max_detections, 4]` as (x1, y1, x2, y2) in pixels of the
        padded image, `"scores"` and `"classes"` `[batch, max_detections]`, by descending score,
        padded with class -1 and zeros.

    Raises:
        ImportError: if KerasCV is not installed.
        ValueError: if an argument has a value that is not allowed.

    Example:
    >>> from keras_dla.detection import RetinaNet
    >>> from keras_dla.models import ResNet
    >>> options = {"include_top": False, "data_format": "channels_last"}
    >>> backbone = ResNet((1, 1, 1, 1), "dla_l", stem="imagenet", planes=(8, 8, 8, 8), **options)
    >>> model = RetinaNet(backbone, classes=3, image_shape=(64, 64))  # in earnest: "dla_l_50"
    >>> # model.compile(keras.optimizers.SGD(0.01, momentum=0.9, global_clipnorm=10.0))
    >>> # model.fit(dataset, epochs=12)
    """

    data_format = "channels_last"

    # KerasCV mistakes a JAX function that is converted to a TensorFlow graph for TensorFlow's own.
    saved_model_backends = ("tensorflow",)

    def __init__(
        self,
        backbone: "str | keras.Model",
        classes: int,
        image_shape: tuple[int, int],
        head_layers: int = 3,
        anchor_sizes: tuple[float, ...] = ANCHOR_SIZES,
        score_threshold: float = 0.05,
        iou_threshold: float = 0.5,
        max_detections: int = 100,
        candidates: int = 2000,
        backbone_weights: "str | os.PathLike | None" = None,
        class_names: Sequence[str] | None = None,
        preparation: ImagePreparation | Mapping[str, Any] | None = None,
        **kwargs: Any,
    ):
        check_positive_integer("classes", classes)
        check_positive_integer("head_layers", head_layers)
        image_shape = _checked_shape(image_shape)
        anchor_sizes = _checked_sizes(anchor_sizes)
        decoder = PredictionDecoder(
            score_threshold=score_threshold,
            iou_threshold=iou_threshold,
            max_detections=max_detections,
            candidates=candidates,
        )
        backbone = _backbone(backbone, image_shape, backbone_weights)
        keras_cv = _keras_cv()
        super().__init__(**kwargs)
        self.classes = classes
        self.class_names = class_names
        self.preparation = as_preparation(preparation)
        self.image_shape = image_shape
        self.head_layers = head_layers
        self.anchor_sizes = anchor_sizes
        self.detector = _detector(keras_cv, backbone, classes, head_layers, anchor_sizes, decoder)
        self.focal_loss = keras_cv.losses.FocalLoss(from_logits=True, reduction="sum")
        self.smooth_l1_loss = keras_cv.losses.SmoothL1Loss(reduction="sum")
        self.classification_loss = keras.metrics.Mean("classification_loss")
        self.box_loss = keras.metrics.Mean("box_loss")
        self.built = True  # the detector is

    def call(self, x: Tensor, training: bool | None = None) -> Nest:
        check_inputs("x", x)
        return self.detector({"images": self._images(x)}, training=training)

    def compute_loss(
        self,
        x: Tensor = None,
        y: Tensor = None,
        y_pred: Nest = None,
        sample_weight: Any = None,
        training: bool | None = True,
    ) -> Tensor:
        """Returns the sum of the focal loss of the classes and the smooth L1 loss of the boxes."""
        targets = {
            "boxes": ops.cast(y["boxes"], "float32"),
            "classes": ops.cast(y["classes"], "float32"),
        }
        boxes, classes = self.detector.label_encoder(self._images(x), targets)
        positive = ops.cast(classes > BACKGROUND, "float32")
        known = ops.cast(ops.not_equal(classes, IGNORED), "float32")
        count = ops.maximum(ops.sum(positive), 1.0)
        one_hot = ops.one_hot(ops.cast(classes, "int32"), self.classes, dtype="float32")
        logits, deltas = (ops.cast(y_pred[k], "float32") for k in ("classification", "box"))
        classification = self.focal_loss(one_hot, logits, known / count)
        box = self.smooth_l1_loss(boxes, deltas, positive / count)
        self.classification_loss.update_state(classification)
        self.box_loss.update_state(box)
        return sum([classification, box, *self.losses])

    @property
    def metrics(self) -> list:
        # Not by the label encoder's own count, which includes the padding of the targets.
        of_parts = set(map(id, self.detector.metrics))
        return [metric for metric in super().metrics if id(metric) not in of_parts]

    def predict_step(self, *args: Any) -> Nest:
        x, _, _ = keras.utils.unpack_x_y_sample_weight(args[-1])
        outputs = super().predict_step(*args)
        if isinstance(outputs, tuple):  # on JAX, the state is passed on
            return self.detections(outputs[0], x), outputs[1]
        return self.detections(outputs, x)

    def infer(self, x: Nest) -> dict[str, Tensor]:
        return self.detections(self(x, training=False), x)

    def detections(self, outputs: dict, x: dict) -> dict:
        """Decodes the outputs of a call on `x` into detections."""
        outputs = {name: ops.cast(value, "float32") for name, value in outputs.items()}
        found = self.detector.decode_predictions(outputs, self._images(x))
        none = ops.expand_dims(found["classes"] < 0, -1)
        boxes = clip_boxes(found["boxes"], ops.cast(x["sizes"], "float32"))
        return {
            "boxes": ops.where(none, 0.0, boxes),
            "scores": found["confidence"],
            "classes": ops.cast(found["classes"], "int32"),
        }

    def _images(self, x):
        """Returns the images with the static shape for which the anchors are made."""
        return ops.reshape(x["images"], (-1, *self.image_shape, x["images"].shape[-1]))

    def get_config(self) -> dict[str, Any]:
        decoder = self.detector.prediction_decoder
        return {
            "name": self.name,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "trainable": self.trainable,
            "backbone": keras.saving.serialize_keras_object(self.detector.backbone),
            "classes": self.classes,
            "image_shape": self.image_shape,
            "head_layers": self.head_layers,
            "anchor_sizes": self.anchor_sizes,
            "score_threshold": decoder.score_threshold,
            "iou_threshold": decoder.iou_threshold,
            "max_detections": decoder.max_detections,
            "candidates": decoder.candidates,
            **self._known_data(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        backbone = keras.saving.deserialize_keras_object(config["backbone"])
        return cls(**{**config, "backbone": backbone})


def _checked_shape(image_shape):
    shape = tuple(image_shape) if isinstance(image_shape, list | tuple) else ()
    whole = all(isinstance(side, int) and side > 0 and side % COARSEST == 0 for side in shape)
    if len(shape) != 2 or not whole:
        raise ValueError(
            f"`image_shape` must be (height, width) in positive multiples of {COARSEST}, "
            f"but is {image_shape!r}."
        )
    return shape


def _checked_sizes(anchor_sizes):
    sizes = tuple(float(size) for size in anchor_sizes)
    if len(sizes) != len(STRIDES) or min(sizes) <= 0:
        raise ValueError(
            f"`anchor_sizes` must be {len(STRIDES)} positive numbers, but is {anchor_sizes!r}."
        )
    return sizes


def _backbone(backbone, image_shape, weights):
    extractor = feature_extractor(backbone, RetinaNet.data_format, weights)
    if not set(LEVELS) <= set(extractor.output):
        raise ValueError(
            f"`backbone` must have the levels {', '.join(LEVELS)}, as ImageNet networks have, but "
            f"{extractor.name!r} has {', '.join(extractor.output)}."
        )
    shape = extractor.input_shape[1:]
    if any(side not in (None, given) for side, given in zip(shape, image_shape, strict=False)):
        raise ValueError(
            f"`backbone` must read images of `image_shape` {image_shape} in channels-last order, "
            f"but {extractor.name!r} reads {shape}."
        )
    # KerasCV finds the levels by the names of layers.
    extractor.pyramid_level_inputs = {
        level: operation_of(extractor.output[level]).name for level in LEVELS
    }
    return extractor


def _keras_cv():
    try:
        import keras_cv
    except ImportError as error:
        raise ImportError(
            f"keras_dla.detection.RetinaNet needs keras-cv: pip install 'keras-dla[data]' ({error})"
        ) from error
    return keras_cv


def _detector(keras_cv, backbone, classes, head_layers, anchor_sizes, decoder):
    anchors = keras_cv.layers.AnchorGenerator(
        "xyxy",
        sizes=anchor_sizes,
        scales=ANCHOR_SCALES,
        aspect_ratios=ANCHOR_RATIOS,
        strides=STRIDES,
        clip_boxes=True,
        dtype="float32",
    )
    encoder = keras_cv.models.retinanet.LabelEncoder(
        "xyxy", anchors, box_variance=DEVIATIONS, dtype="float32"
    )
    prior = keras.initializers.Constant(-4.59511985013459)  # the logit of 0.01
    places = len(ANCHOR_SCALES) * len(ANCHOR_RATIOS)
    head = keras_cv.models.retinanet.PredictionHead
    with _channels_last(), warnings.catch_warnings():
        # KerasCV builds a layer that is already built.
        warnings.filterwarnings("ignore", r"`build\(\)` was called on layer 'detector'")
        return keras_cv.models.RetinaNet(
            backbone,
            classes,
            "xyxy",
            label_encoder=encoder,
            prediction_decoder=decoder,
            classification_head=head(places * classes, prior, head_layers),
            box_head=head(places * 4, keras.initializers.Zeros(), head_layers),
            name="detector",
        )


@contextlib.contextmanager
def _channels_last():
    """A context in which Keras's data format is channels last, the only one KerasCV supports."""
    own = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_last")
    try:
        yield
    finally:
        keras.config.set_image_data_format(own)
