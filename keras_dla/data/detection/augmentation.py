"""Random changes of an image together with its objects: size, crop and colours."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class DetectionAugmentation:
    """Random changes that `DetectionDataset` makes in every epoch; each is off by default.

    Args:
        scale: pair of floats above 0, the range of the factor by which the data set's shorter side
            is multiplied, for multi-scale training; defaults to (1, 1).
        crop: float above 0 and at most 1, the smallest share of each side that a crop keeps; boxes
            whose centre is outside are removed; defaults to 1, no cropping.
        jitter: float from 0 to 1, the largest relative change of brightness, contrast and
            saturation; defaults to 0.

    Raises:
        ValueError: when an argument is not as described above.

    Example:
    >>> import numpy as np
    >>> from keras_dla.data import DetectionAugmentation, ShapesSource
    >>> augmentation = DetectionAugmentation(scale=(0.8, 1.0), crop=0.7, jitter=0.2)
    >>> changed = augmentation(ShapesSource(1, 64)[0], np.random.default_rng(0))
    >>> min(changed["image"].shape[:2]) >= 44
    True
    """

    scale: tuple[float, float] = (1.0, 1.0)
    crop: float = 1.0
    jitter: float = 0.0

    def __post_init__(self) -> None:
        if len(self.scale) != 2 or not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(
                f"`scale` must be two positive numbers in ascending order, but is {self.scale!r}."
            )
        if not 0 < self.crop <= 1:
            raise ValueError(f"`crop` must be above 0 and at most 1, but is {self.crop!r}.")
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"`jitter` must be from 0 to 1, but is {self.jitter!r}.")

    def __call__(self, example: dict, random: np.random.Generator) -> dict:
        """Returns an example, cropped and with changed colours.

        Args:
            example: dictionary, as described by `DetectionSource`.
            random: generator of numpy, which decides.
        """
        if self.crop < 1:
            example = _cut_out(example, *_window(example["image"].shape, self.crop, random))
        if self.jitter > 0:
            example = example | {"image": _recoloured(example["image"], self.jitter, random)}
        return example

    def shorter_side(self, side: int, random: np.random.Generator) -> int:
        """Returns the limit of an image's shorter side in pixels.

        Args:
            side: int, the limit of the data set.
            random: generator of numpy, which decides.
        """
        return max(1, round(side * random.uniform(*self.scale)))


def _window(shape, least, random):
    """Returns the borders of a crop: top, left, bottom and right."""
    sides = [max(1, round(side * random.uniform(least, 1))) for side in shape[:2]]
    starts = [
        int(random.integers(0, whole - side + 1)) for whole, side in zip(shape, sides, strict=False)
    ]
    return *starts, starts[0] + sides[0], starts[1] + sides[1]


def _cut_out(example, top, left, bottom, right):
    boxes = example["boxes"]
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    kept = ((centres >= (left, top)) & (centres < (right, bottom))).all(axis=1)
    limits = np.array([right - left, bottom - top] * 2, boxes.dtype)
    moved = np.clip(boxes - np.array([left, top] * 2, boxes.dtype), 0, limits)
    changed = {
        "image": np.ascontiguousarray(example["image"][top:bottom, left:right]),
        "boxes": moved[kept],
        "classes": example["classes"][kept],
        "crowd": example["crowd"][kept],
    }
    if "masks" in example:
        changed["masks"] = example["masks"][kept, top:bottom, left:right]
    return example | changed


def _recoloured(image, jitter, random):
    brightness, contrast, saturation = random.uniform(1 - jitter, 1 + jitter, 3)
    pixels = image.astype("float32") * np.float32(brightness)
    mean = pixels.mean()
    pixels = (pixels - mean) * np.float32(contrast) + mean
    grey = pixels.mean(axis=-1, keepdims=True)
    pixels = (pixels - grey) * np.float32(saturation) + grey
    return np.clip(np.round(pixels), 0, 255).astype("uint8")
