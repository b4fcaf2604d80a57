"""The check of a batch of images."""

import numpy as np
from keras import ops

from keras_dla.utils.types import Tensor


def checked_images(images: Tensor) -> np.ndarray:
    """Returns `images` as an array.

    Raises:
        ValueError: when it is not a batch of at least one image.
    """
    array = ops.convert_to_numpy(images)
    if array.ndim != 4 or not len(array):
        raise ValueError(
            f"`images` must be a batch of at least one image, with 4 axes, "
            f"but has shape {array.shape}."
        )
    return array
