"""The resizing and normalisation of images before a detector reads them."""

from dataclasses import asdict, dataclass

from keras_dla.data.detection.transforms import padded_shape_of, resized_shape
from keras_dla.data.normalization import IMAGENET_MEAN, IMAGENET_STD, scale_and_shift
from keras_dla.data.validation import check_count


@dataclass(frozen=True)
class ImagePreparation:
    """How `DetectionDataset` and `detect` resize and normalise images.

    Args:
        shorter_side: int, the limit of an image's shorter side in pixels; defaults to 800.
        longer_side: int, the limit of its longer side in pixels; defaults to 1333.
        mean: tuple of 3 floats, in units of the white level (0 to 1); defaults to ImageNet's.
        std: tuple of 3 floats, in the same unit; defaults to ImageNet's.
        padded_shape: pair of int (height, width), multiples of 32 to which images are padded;
            defaults to None, the smallest that hold the image.

    Raises:
        ValueError: when an argument is not as described above.

    Example:
    >>> from keras_dla.data.detection.preparation import ImagePreparation
    >>> ImagePreparation(240, 400).shapes(480, 640)
    ((240, 320), (256, 320))
    """

    shorter_side: int = 800
    longer_side: int = 1333
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    padded_shape: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        check_count("shorter_side", self.shorter_side, minimum=1)
        check_count("longer_side", self.longer_side, minimum=self.shorter_side)
        scale, _ = scale_and_shift(self.mean, self.std)
        if len(scale) != 3:
            raise ValueError(f"`mean` and `std` must have 3 entries, but have {len(scale)}.")
        # JSON has lists, which are not equal to tuples.
        for name in ("mean", "std"):
            object.__setattr__(self, name, tuple(float(n) for n in getattr(self, name)))
        if self.padded_shape is not None:
            object.__setattr__(self, "padded_shape", tuple(self.padded_shape))

    def shapes(self, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Returns the (height, width) of an image after resizing, and after padding.

        A portrait image is padded to the transposed shape if `padded_shape` is landscape, and vice
        versa.

        Args:
            height: int, of the image in pixels.
            width: int, of the image in pixels.
        """
        sides = self.shorter_side, self.longer_side
        if self.padded_shape is None:
            resized = resized_shape(height, width, *sides)
            return resized, padded_shape_of([resized])
        shapes = {self.padded_shape: None, self.padded_shape[::-1]: None}
        fits = {shape: resized_shape(height, width, *sides, shape) for shape in shapes}
        padded = max(fits, key=lambda shape: min(fits[shape]))
        return fits[padded], padded

    def get_config(self) -> dict:
        """Returns the arguments in a form that JSON can store."""
        return asdict(self)
