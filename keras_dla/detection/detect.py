"""Runs a trained detector on photographs of any size."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_dla.data.detection.preparation import ImagePreparation
from keras_dla.data.images import read_image, resize_image
from keras_dla.data.normalization import normalize, scale_and_shift
from keras_dla.detection.coco.mask_pasting import paste_mask
from keras_dla.detection.coco.results import MASK_THRESHOLD, boxes_in_original
from keras_dla.detection.validation import check_fraction


@dataclass(frozen=True)
class Detections:
    """The detections in one image, by descending score.

    Args:
        boxes: float array, `[detections, 4]`, corners (x1, y1, x2, y2) in pixels of the image.
        scores: float array, `[detections]`, from 0 to 1.
        classes: integer array, `[detections]`, numbers of the classes.
        names: list of strings, the name of each detection's class, or its number if the detector
            does not know the names.
        masks: boolean array, `[detections, height, width]`, the pixels of each object, or None for
            a detector without masks.
        size: pair of integers, height and width of the image in pixels.

    Example:
    >>> import numpy as np
    >>> from keras_dla.detection import Detections
    >>> boxes, classes = np.array([[4.0, 8.0, 20.0, 30.0]]), np.array([1])
    >>> found = Detections(boxes, np.array([0.9]), classes, ["cat"], None, (32, 48))
    >>> found.names
    ['cat']
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    names: list[str]
    masks: np.ndarray | None
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.scores)


def detect(
    model: Any,
    images: Any,
    score: float = 0.5,
    preparation: ImagePreparation | None = None,
) -> list[Detections]:
    """Detects objects in images of any size.

    Each image is read upright, then resized and normalised as in training; boxes and masks refer to
    the original upright image.

    Args:
        model: a `FasterRCNN`, `MaskRCNN` or `RetinaNet`.
        images: a list of images, or a single one: the path of a file, a Pillow image, or an array
            `[height, width, 3]` (or `[height, width]` for grey) of uint8 from 0 to 255 or of floats
            from 0 to 1.
        score: float from 0 to 1, the lowest score of a detection; defaults to 0.5.
        preparation: `keras_dla.data.ImagePreparation`, how images were resized and normalised in
            training; defaults to None, the preparation saved with the model.

    Returns:
        A list of `Detections`, one per image.

    Raises:
        ValueError: when an argument is not as described, an image cannot be read, or the
            preparation of the images is unknown.

    Example:
    >>> import numpy as np
    >>> from keras_dla.data import ImagePreparation
    >>> from keras_dla.detection import FasterRCNN, detect
    >>> from keras_dla.models import ResNet
    >>> options = {"include_top": False, "data_format": "channels_last"}
    >>> backbone = ResNet((1, 1, 1), "dla_l", stem="imagenet", planes=(8, 8, 8), **options)
    >>> model = FasterRCNN(backbone, 3, channels=8, head_units=16, data_format="channels_last")
    >>> # In earnest: model = keras_dla.load_model("best.keras"), which knows the preparation.
    >>> preparation = ImagePreparation(shorter_side=64, longer_side=64)
    >>> [found] = detect(model, np.zeros((40, 60, 3), "uint8"), 0.99, preparation)
    >>> found.size
    (40, 60)
    """
    check_fraction("score", score)
    preparation = preparation_of(model, preparation)
    pixels = [as_pixels(image) for image in as_list(images)]
    # Images of the same shape are processed together, because JAX and TensorFlow compile each
    # shape.
    order = sorted(range(len(pixels)), key=lambda n: pixels[n].shape)
    found = {n: detect_in(model, pixels[n], score, preparation) for n in order}
    return [found[n] for n in range(len(pixels))]


def detect_in(
    model: Any, pixels: np.ndarray, score: float, preparation: ImagePreparation
) -> Detections:
    """Returns the detections in one uint8 image `[height, width, 3]`; see `detect`."""
    height, width, _ = pixels.shape
    resized, padded = preparation.shapes(height, width)
    batch = _batch(pixels, resized, padded, preparation, model.data_format)
    found = {name: np.asarray(values)[0] for name, values in model.predict_on_batch(batch).items()}
    scale = resized[0] / height, resized[1] / width
    boxes, inside = boxes_in_original(found["boxes"], {"scale": scale}, height, width)
    chosen = np.flatnonzero((found["classes"] >= 0) & (found["scores"] >= score))
    classes = found["classes"][chosen]
    masks = None
    if "masks" in found:
        masks = np.zeros((len(chosen), height, width), bool)
        for place, index in enumerate(chosen):
            pasted = paste_mask(found["masks"][index], boxes[index], height, width)
            masks[place] = pasted >= MASK_THRESHOLD
    return Detections(
        boxes=inside[chosen].astype("float32"),
        scores=found["scores"][chosen],
        classes=classes,
        names=[_name(model, int(number)) for number in classes],
        masks=masks,
        size=(height, width),
    )


def _batch(pixels, resized, padded, preparation, data_format):
    scale, shift = scale_and_shift(preparation.mean, preparation.std)
    image = normalize(resize_image(pixels, *resized)[None], scale, shift, data_format)
    missing = [(0, 0), *((0, whole - part) for whole, part in zip(padded, resized, strict=True))]
    missing.insert(1 if data_format == "channels_first" else 3, (0, 0))
    return {"images": np.pad(image, missing), "sizes": np.array([resized], "int32")}


def _name(model, number):
    names = getattr(model, "class_names", None)
    return str(number) if names is None else names[number]


def preparation_of(model: Any, given: ImagePreparation | None = None) -> ImagePreparation:
    """Returns how a detector's images are prepared: as given, or as saved with the model.

    Args:
        model: a detector.
        given: `keras_dla.data.ImagePreparation` or None, the user's choice; defaults to None.

    Raises:
        ValueError: when `model` is not a detector, or the preparation is unknown.
    """
    if not hasattr(model, "data_format") or not hasattr(model, "predict_on_batch"):
        raise ValueError(f"`model` must be a detector, but is {model!r}.")
    chosen = given or getattr(model, "preparation", None)
    shape = getattr(model, "image_shape", None)
    if chosen is None and shape is not None:
        chosen = ImagePreparation(min(shape), max(shape))
    if chosen is None:
        raise ValueError(
            "`preparation` must say how images were resized in training, as "
            "`ImagePreparation(shorter_side=..., longer_side=...)`, because it was not saved "
            "with the model, but is None."
        )
    if shape is None:
        return chosen
    settings = {**chosen.get_config(), "padded_shape": shape}
    return ImagePreparation(**settings)


def as_list(images: Any) -> Sequence[Any]:
    """Returns a list of images, also for a single image."""
    alone = isinstance(images, str | os.PathLike) or hasattr(images, "convert")
    if alone or (isinstance(images, np.ndarray) and images.ndim in (2, 3)):
        return [images]
    return list(images)


def as_pixels(image: Any) -> np.ndarray:
    """Returns an image as uint8 `[height, width, 3]`; see `detect` for the allowed kinds.

    Raises:
        ValueError: when it is of another kind.

    Example:
    >>> from keras_dla.detection.detect import as_pixels
    >>> as_pixels(np.ones((1, 2)))[0].tolist()
    [[255, 255, 255], [255, 255, 255]]
    """
    if isinstance(image, str | os.PathLike | bytes):
        return read_image(image)
    if hasattr(image, "convert"):
        from PIL import ImageOps

        return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    pixels = np.asarray(image)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    if pixels.dtype.kind == "f" and pixels.size and pixels.min() >= 0 and pixels.max() <= 1:
        pixels = np.round(pixels * 255).astype("uint8")
    if pixels.ndim != 3 or pixels.shape[-1] != 3 or pixels.dtype != np.uint8 or not pixels.size:
        raise ValueError(
            "`images` must be paths, Pillow images, or arrays [height, width, 3] of uint8 or of "
            f"floats from 0 to 1, but one is an array {pixels.shape} of {pixels.dtype}."
        )
    return pixels
