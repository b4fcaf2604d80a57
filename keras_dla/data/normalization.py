"""Channel means and deviations, and the affine map that applies them."""

from collections.abc import Sequence

import numpy as np

# The mean and deviation of CIFAR-10, which the authors use for CIFAR-100 too.
CIFAR_MEAN = (0.4914, 0.4822, 0.4465)
CIFAR_STD = (0.2023, 0.1994, 0.2010)

# The usual values for ImageNet's training images.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def scale_and_shift(mean: Sequence[float], std: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Turns `(x / 255 - mean) / std` into one multiplication and one addition.

    Args:
        mean: sequence of floats, one per channel, in units of the white level (0 to 1).
        std: sequence of positive floats, one per channel, in the same unit.

    Returns:
        A pair of float32 arrays `(scale, shift)` of shape `(channels,)` such that
        `x * scale + shift` is the normalised image of a uint8 image `x`.

    Raises:
        ValueError: when the two differ in length, or a deviation is not positive.

    Example:
    >>> scale, shift = scale_and_shift(mean=(0.5,), std=(0.25,))
    >>> (255 * scale + shift).tolist()
    [2.0]
    """
    means, deviations = np.asarray(mean, "float64"), np.asarray(std, "float64")
    if means.ndim != 1 or means.shape != deviations.shape or not np.all(deviations > 0):
        raise ValueError(
            "`mean` and `std` must have the same length, one entry per channel, and `std` must "
            f"be positive, but they are {means.tolist()} and {deviations.tolist()}."
        )
    scale = 1 / (255 * deviations)
    return scale.astype("float32"), (-means / deviations).astype("float32")


def normalize(
    images: np.ndarray, scale: np.ndarray, shift: np.ndarray, data_format: str
) -> np.ndarray:
    """Normalises a batch of images and converts it to `data_format`.

    Args:
        images: uint8 array `(batch, height, width, channels)`.
        scale: float32 array `(channels,)` from `scale_and_shift`.
        shift: float32 array `(channels,)` from `scale_and_shift`.
        data_format: `"channels_last"` or `"channels_first"`.

    Returns:
        A C-contiguous float32 array, `(batch, height, width, channels)` or
        `(batch, channels, height, width)`.

    Example:
    >>> scale, shift = scale_and_shift(mean=(0.5,), std=(0.25,))
    >>> normalize(np.full((1, 1, 1, 1), 255, "uint8"), scale, shift, "channels_last").item()
    2.0
    """
    batch, height, width, channels = images.shape
    if data_format == "channels_first":
        images = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
        scale, shift = scale[:, None, None], shift[:, None, None]
    else:
        # By whole rows, because a broadcast over an innermost axis of length 3 is several times
        # slower.
        images = images.reshape(batch, height, width * channels)
        scale, shift = np.tile(scale, width), np.tile(shift, width)
    normal = np.multiply(images, scale, dtype="float32")
    normal += shift
    if data_format == "channels_first":
        return normal
    return normal.reshape(batch, height, width, channels)
