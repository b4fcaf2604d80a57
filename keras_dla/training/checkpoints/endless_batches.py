"""Endless batches, for epochs of any length that can start anywhere."""

import keras

from keras_dla.data.epoch_dataset import SerialDataset
from keras_dla.utils.types import Nest


class EndlessBatches(SerialDataset):
    """Joins the epochs of an `ArrayDataset` into one endless sequence.

    Give `fit()` the length of an epoch as `steps_per_epoch`, which need not be a pass over the
    images, and `shuffle=False`. Batch `index` depends only on `first + index`, so a run that starts
    at `first` sees the same batches as a run from 0 does from there on.

    Args:
        dataset: a `keras_dla.data.ArrayDataset`; its `epoch` is set by this object.
        first: integer, the number of batches to skip at the beginning; defaults to 0.

    Example:
    >>> import numpy as np
    >>> from keras_dla.data import ArrayDataset
    >>> from keras_dla.training import EndlessBatches
    >>> images, labels = np.zeros((4, 8, 8, 3), "uint8"), np.arange(4)
    >>> batches = EndlessBatches(ArrayDataset(images, labels, batch_size=2), first=1)
    >>> sorted(np.concatenate([batches[1][1], batches[2][1]]).tolist())  # the second epoch
    [0, 1, 2, 3]
    """

    def __init__(self, dataset: keras.utils.PyDataset, first: int = 0):
        super().__init__()
        self.dataset = dataset
        self.first = first

    @property
    def num_batches(self) -> None:
        """`None`, which Keras expects from an endless sequence."""
        return None

    def __getitem__(self, index: int) -> Nest:
        self.dataset.epoch, place = divmod(self.first + index, len(self.dataset))
        return self.dataset[place]
