"""The part of every batch that one process trains on."""

import dataclasses
from types import ModuleType
from typing import Any

import keras

from keras_dla.data.epoch_dataset import SerialDataset
from keras_dla.utils.types import Nest, Tensor


@dataclasses.dataclass(frozen=True)
class Place:
    """The position of a process among all devices.

    Args:
        part: integer, the index of the part of a batch that this process takes.
        parts: integer, the number of parts.
        devices: integer, the number of devices, by which every batch must be divisible.
    """

    part: int
    parts: int
    devices: int

    def part_of(self, array: Tensor) -> Tensor:
        """Returns this process's part of an array or tensor on any device."""
        size = self._size(array.shape[0])
        return array[self.part * size : (self.part + 1) * size]

    def part_of_graph(self, tf: ModuleType, tensor: Tensor) -> Tensor:
        """The same in a TensorFlow graph, in which the sizes of batches may be unknown."""
        if tensor.shape[0] is not None:
            return self.part_of(tensor)
        entries = tf.shape(tensor)[0]
        check = tf.debugging.assert_equal(
            entries % self.devices, 0, indivisible(self.devices, "another number of")
        )
        with tf.control_dependencies([check]):
            size = entries // self.parts
        return tensor[self.part * size : (self.part + 1) * size]

    def _size(self, entries):
        if entries % self.devices:
            raise ValueError(indivisible(self.devices, entries))
        return entries // self.parts


def indivisible(devices: int, entries: int | str) -> str:
    """Returns the message for a batch whose number of entries is not divisible by `devices`."""
    return (
        f"Every batch, including test batches, must be divisible by the {devices} devices, but "
        f"one has {entries} entries: choose another `batch_size`, or `drop_remainder=True`."
    )


class LocalBatches(SerialDataset):
    """Cuts one process's part out of global batches.

    Args:
        dataset: a `keras.utils.PyDataset` of global batches, equal in every process.
        place: the process's `Place`.
    """

    def __init__(self, dataset: keras.utils.PyDataset, place: Place):
        super().__init__()
        self.dataset = dataset
        self.place = place

    @property
    def num_batches(self) -> int | None:
        """The number of global batches."""
        return self.dataset.num_batches

    def __getitem__(self, index: int) -> Nest:
        """Returns this process's part of batch `index`; `ValueError` if it cannot be divided."""
        return keras.tree.map_structure(self.place.part_of, self.dataset[index])

    def on_epoch_begin(self) -> None:
        """Calls the method of the data set."""
        self.dataset.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Calls the method of the data set."""
        self.dataset.on_epoch_end()


def local_part(dataset: Any, place: Place) -> Any:
    """Cuts one process's part out of the batches of a `PyDataset` or a `tf.data.Dataset`."""
    if isinstance(dataset, keras.utils.PyDataset):
        return LocalBatches(dataset, place)
    import tensorflow as tf  # TensorFlow is imported already, because it made the data set

    if keras.backend.backend() == "tensorflow":
        return _for_strategies(tf, dataset)

    def cut(*batch):
        return keras.tree.map_structure(lambda part: place.part_of_graph(tf, part), batch)

    return dataset.map(cut)


def _for_strategies(tf, dataset):
    """Makes TensorFlow's strategies divide the batches, and not sometimes the files."""
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return dataset.with_options(options)
