"""The images of an experiment, starting at any step of its run."""

import copy
import dataclasses
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from keras_dla.data import (
    ArrayDataset,
    DeviceArrayDataset,
    cifar_dataset,
    cifar_steps_per_epoch,
    load_cifar_arrays,
)
from keras_dla.training.checkpoints.endless_batches import EndlessBatches
from keras_dla.training.devices.devices import device_count
from keras_dla.training.experiment.experiment import Experiment

if TYPE_CHECKING:
    import tensorflow as tf

TEST_BATCH = 500


def even_batch() -> int:
    """Returns the number of test images per batch that all devices can share equally."""
    return TEST_BATCH - TEST_BATCH % device_count()


class TensorFlowData:
    """The images, read by tensorflow-datasets and tf.data.

    Args:
        experiment: an `Experiment`.
        data_dir: folder of tensorflow-datasets, or `None` to download; defaults to None.
    """

    def __init__(self, experiment: Experiment, data_dir: str | os.PathLike | None = None):
        self.experiment = experiment
        self.data_dir = data_dir
        self.test = cifar_dataset(experiment.dataset, "test", even_batch(), data_dir)

    def train(self, first: int) -> "tf.data.Dataset":
        """Returns endless batches, starting with number `first`."""
        batch_size = self.experiment.batch_size
        epoch, left_out = divmod(first, cifar_steps_per_epoch("train", batch_size))
        train = cifar_dataset(
            self.experiment.dataset,
            "train",
            batch_size,
            self.data_dir,
            seed=self.experiment.seed,
            initial_epoch=epoch,
        )
        return train.skip(left_out) if left_out else train

    def with_seed(self, seed: int) -> "TensorFlowData":
        """Returns the same images in another seed's order."""
        other = copy.copy(self)
        other.experiment = dataclasses.replace(self.experiment, seed=seed)
        return other


class MemoryData:
    """The images as arrays, in memory or on the device, without TensorFlow.

    Args:
        experiment: an `Experiment`.
        data_dir: folder of tensorflow-datasets, or `None` to download; defaults to None.
    """

    def __init__(self, experiment: Experiment, data_dir: str | os.PathLike | None = None):
        train, test = load_cifar_arrays(experiment.dataset, data_dir=data_dir)
        kind: Callable[..., ArrayDataset] = (
            DeviceArrayDataset if experiment.data == "device" else ArrayDataset
        )
        self.dataset = kind(*train, batch_size=experiment.batch_size, seed=experiment.seed)
        self.test = kind(*test, batch_size=even_batch(), augment=False, shuffle=False)

    def train(self, first: int) -> EndlessBatches:
        """Returns endless batches, starting with number `first`."""
        return EndlessBatches(self.dataset, first)

    def with_seed(self, seed: int) -> "MemoryData":
        """Returns the same images in another seed's order; they are stored only once."""
        other = copy.copy(self)
        other.dataset = copy.copy(self.dataset)
        other.dataset.seed = seed
        return other


def open_data(
    experiment: Experiment, data_dir: str | os.PathLike | None = None
) -> TensorFlowData | MemoryData:
    """Returns the data of a resolved experiment: `train(first)`, `test` and `with_seed(seed)`."""
    return (TensorFlowData if experiment.data == "tfds" else MemoryData)(experiment, data_dir)
