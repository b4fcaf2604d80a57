"""Batches of augmented images that are stored on the accelerator."""

from typing import Any

import numpy as np
from keras import ops

from keras_dla.data.classification.array_dataset import ArrayDataset
from keras_dla.data.classification.augmentation import PADDING
from keras_dla.utils.types import Tensor


class DeviceArrayDataset(ArrayDataset):
    """An `ArrayDataset` that keeps its images on Keras's device and augments them there.

    The images are uploaded once, as bytes with their black border (CIFAR's 50,000 take 0.24 GB);
    for a batch, the host then only sends a few numbers per image. The random choices are those of
    `ArrayDataset`, so that equal arguments give equal batches.

    It is meant for PyTorch and JAX, on which `model.fit` takes the batches as they are. On
    TensorFlow it would copy them to the host and back; there, `keras_dla.data.cifar_dataset` is
    faster.

    Args:
        images: uint8 array `(size, height, width, channels)`.
        labels: integer array `(size,)`.
        **kwargs: the other arguments of `ArrayDataset`.

    Raises:
        ValueError: when an argument is not as `ArrayDataset` describes it, or there are more
            than `2 ** 31` pixels with their borders.

    Example:
    >>> import numpy as np
    >>> from keras_dla.data import DeviceArrayDataset
    >>> images, labels = np.zeros((10, 32, 32, 3), "uint8"), np.arange(10)
    >>> dataset = DeviceArrayDataset(images, labels, batch_size=4, data_format="channels_last")
    >>> batch_images, batch_labels = dataset[0]
    >>> tuple(batch_images.shape), tuple(batch_labels.shape)
    ((4, 32, 32, 3), (4,))
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, **kwargs: Any):
        super().__init__(images, labels, **kwargs)
        border = ((0, 0), (PADDING, PADDING), (PADDING, PADDING), (0, 0))
        padded = np.pad(images, border)
        if padded[..., 0].size > np.iinfo("int32").max:
            raise ValueError(
                f"`images` must have less than {2**31} pixels including a border of {PADDING}, "
                "but have "
                f"{padded[..., 0].size}."
            )
        self._size = padded.shape[1:3]
        self._pixels = ops.convert_to_tensor(padded.reshape(-1, padded.shape[-1]))
        self._classes = ops.convert_to_tensor(self.labels)
        self._scale, self._shift = map(ops.convert_to_tensor, (self.scale, self.shift))

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Returns batch `index` of the epoch as tensors on the device; see `ArrayDataset`."""
        draw = self._draw(index)
        images = ops.take(self._pixels, self._places(draw), axis=0)
        normal = ops.cast(images, "float32") * self._scale + self._shift
        if self.data_format == "channels_first":
            normal = ops.transpose(normal, (0, 3, 1, 2))
        return normal, ops.take(self._classes, _tensor(draw.order), axis=0)

    def _places(self, draw):
        """Returns the places of a batch's pixels in the store, `(batch, height, width)`."""
        rows, columns = self._size
        height, width = self.images.shape[1:3]
        tops, lefts, flips = draw.tops, draw.lefts, draw.flips
        if not self.augment:
            tops, lefts, flips = PADDING, PADDING, np.zeros_like(flips)
        # A mirrored crop starts at its right end and runs to the left.
        first = (draw.order * rows + tops) * columns + lefts + np.where(flips, width - 1, 0)
        step = np.where(flips, -1, 1)
        across = _tensor(step)[:, None, None] * ops.arange(width, dtype="int32")
        down = ops.arange(height, dtype="int32")[:, None] * columns
        return _tensor(first)[:, None, None] + down + across


def _tensor(numbers):
    # Every backend has 32-bit integers.
    return ops.convert_to_tensor(numbers.astype("int32"))
