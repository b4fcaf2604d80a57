"""Batches of augmented images from arrays in memory, without TensorFlow."""

from collections.abc import Sequence

import numpy as np

from keras_dla.data.classification.augmentation import EpochDraw, crop_and_flip, draw_epoch
from keras_dla.data.epoch_dataset import EpochDataset
from keras_dla.data.normalization import CIFAR_MEAN, CIFAR_STD, normalize, scale_and_shift
from keras_dla.data.validation import check_count, check_images_and_labels, check_labels
from keras_dla.utils.validation import standardize_data_format


class ArrayDataset(EpochDataset):
    """Batches of normalised, randomly cropped and flipped images for `model.fit`.

    Each image is padded with 4 black pixels on every side, cropped back to its size at a random
    place, mirrored with probability 1/2, and normalised: the augmentation of the paper's CIFAR
    recipe. Every batch is a pure function of `(seed, epoch, index)`, so a run that is resumed with
    `initial_epoch=k` sees the same batches as an uninterrupted run from epoch k on.

    Pass `shuffle=False` to `model.fit`: this data set has shuffled its images already, and
    Keras would otherwise permute the batches with Python's own random numbers.

    The epoch advances in `on_epoch_end` once all of its batches have been read. For epochs that are
    not a pass over the images, give `fit` a `keras_dla.training.EndlessBatches` of this data set
    and `steps_per_epoch`: at the end of a data set, Keras cuts the epoch short.

    Args:
        images: uint8 array `(size, height, width, channels)`.
        labels: integer array `(size,)`.
        batch_size: integer, images per batch. The last batch may be smaller; defaults to 128.
        augment: boolean, whether to crop and flip. Set it to `False` for validation; defaults to
            True.
        shuffle: boolean, whether every epoch has its own order. Set it to `False` for validation;
            defaults to True.
        seed: integer, at least 0; defaults to 0.
        mean: sequence of floats, one per channel, in units of the white level (0 to 1); defaults to
            `CIFAR_MEAN`.
        std: sequence of floats, one per channel, in the same unit; defaults to `CIFAR_STD`.
        initial_epoch: integer, the epoch to start with, counted from 0. Give `model.fit` the same;
            defaults to 0.
        drop_remainder: boolean, whether to leave out a last batch that is not full; defaults to
            False.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting. It
            applies to the batches; `images` are always channels last; defaults to None.

    Raises:
        ValueError: when an argument is not as described above.

    Example:
    >>> import numpy as np
    >>> from keras_dla.data import ArrayDataset
    >>> images, labels = np.zeros((10, 32, 32, 3), "uint8"), np.arange(10)
    >>> dataset = ArrayDataset(images, labels, batch_size=4, data_format="channels_last")
    >>> len(dataset)
    3
    >>> batch_images, batch_labels = dataset[0]
    >>> batch_images.shape, batch_labels.shape
    ((4, 32, 32, 3), (4,))
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        batch_size: int = 128,
        augment: bool = True,
        shuffle: bool = True,
        seed: int = 0,
        mean: Sequence[float] = CIFAR_MEAN,
        std: Sequence[float] = CIFAR_STD,
        initial_epoch: int = 0,
        drop_remainder: bool = False,
        data_format: str | None = None,
    ):
        super().__init__(check_count("initial_epoch", initial_epoch, minimum=0))
        check_images_and_labels(images, labels)
        self.images = images
        # Every backend has 32-bit integers; JAX truncates 64 bits by default.
        self.labels = labels.astype("int32")
        self.batch_size = check_count("batch_size", batch_size, minimum=1)
        self.augment = bool(augment)
        self.shuffle = bool(shuffle)
        self.seed = check_count("seed", seed, minimum=0)
        self.scale, self.shift = scale_and_shift(mean, std)
        self.drop_remainder = bool(drop_remainder)
        self.data_format = standardize_data_format(data_format)
        if len(self.scale) != images.shape[-1]:
            raise ValueError(
                f"`mean` and `std` must have {images.shape[-1]} entries, one per channel of "
                f"`images`, but have {len(self.scale)}."
            )
        self._length = count_batches(len(images), self.batch_size, self.drop_remainder)

    def check_classes(self, classes: int) -> None:
        """Raises `ValueError` unless every label is the index of one of `classes` classes.

        The networks of this package call it in `fit` and `evaluate`.

        Args:
            classes: integer, the number of classes.

        Raises:
            ValueError: when a label is not below `classes`; the message says which.
        """
        check_labels(self.labels, classes=classes)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns batch `index` of the present epoch.

        Args:
            index: integer, from 0 to `len(self) - 1`.

        Returns:
            A pair `(images, labels)`: float32 `(batch, height, width, channels)`, or
            `(batch, channels, height, width)` for channels first, and int32 `(batch,)`.

        Raises:
            IndexError: when there is no batch `index`.
        """
        draw = self._draw(index)
        images = self.images[draw.order]
        if self.augment:
            images = crop_and_flip(images, draw)
        return normalize(images, self.scale, self.shift, self.data_format), self.labels[draw.order]

    def _draw(self, index: int) -> EpochDraw:
        """Returns the random choices for batch `index`, and counts it as read."""
        self.note_batch(index)
        epoch = draw_epoch(len(self.images), self.seed, self.epoch, self.shuffle)
        return epoch.batch(index, self.batch_size)


def count_batches(size: int, batch_size: int, drop_remainder: bool) -> int:
    """Returns the number of batches of `size` images; raises `ValueError` if there is none."""
    if drop_remainder and batch_size > size:
        raise ValueError(
            f"`batch_size` must be at most {size}, the number of images, with "
            f"`drop_remainder=True`, but is {batch_size}."
        )
    return size // batch_size if drop_remainder else -(-size // batch_size)
