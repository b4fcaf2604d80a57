"""The check of a batch of images."""

import numpy as np
from keras import ops


def checked_images(images) -> np.ndarray:
    """Returns `images` as an array; raises `ValueError` unless it is a batch of some."""
    images = ops.convert_to_numpy(images)
    if images.ndim != 4 or not len(images):
        raise ValueError(
            f"`images` must be a batch of at least one image, with 4 axes, "
            f"but has shape {images.shape}."
        )
    return images
