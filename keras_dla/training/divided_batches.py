"""The part of every batch that one process trains on."""

import keras
import numpy as np


class LocalBatches(keras.utils.PyDataset):
    """Cuts one process's part out of global batches.

    Args:
        dataset: A `keras.utils.PyDataset` of global batches, equal in every process.
        part: Integer, which part this process takes.
        parts: Integer, how many parts there are.
        devices: Integer, by which every batch must be divisible.
    """

    def __init__(self, dataset: keras.utils.PyDataset, part: int, parts: int, devices: int):
        super().__init__()
        self.dataset = dataset
        self.part, self.parts, self.devices = part, parts, devices

    @property
    def num_batches(self):
        """As many as there are global ones."""
        return self.dataset.num_batches

    def __getitem__(self, index):
        """Returns this process's part of batch `index`; `ValueError` if it cannot be divided."""
        return keras.tree.map_structure(self._part, self.dataset[index])

    def on_epoch_begin(self):
        """Passed on to the data set."""
        self.dataset.on_epoch_begin()

    def on_epoch_end(self):
        """Passed on to the data set."""
        self.dataset.on_epoch_end()

    def _part(self, array):
        array = np.asarray(array)
        if len(array) % self.devices:
            raise ValueError(
                f"Every batch must be divisible by the {self.devices} devices, but one has "
                f"{len(array)} entries: choose another `batch_size`, or `drop_remainder=True`."
            )
        size = len(array) // self.parts
        return array[self.part * size : (self.part + 1) * size]
