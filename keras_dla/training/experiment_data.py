"""The images of an experiment, from any step of its run on."""

import os

from keras_dla.data import ArrayDataset, cifar_dataset, cifar_steps_per_epoch, load_cifar_arrays
from keras_dla.training.endless import EndlessBatches
from keras_dla.training.experiment import Experiment

TEST_BATCH = 500


class TensorFlowData:
    """The images through tensorflow-datasets and tf.data.

    Args:
        experiment: An `Experiment`.
        data_dir: Folder of tensorflow-datasets, or `None` to download.
    """

    def __init__(self, experiment: Experiment, data_dir: str | os.PathLike | None = None):
        self.experiment = experiment
        self.data_dir = data_dir
        self.test = cifar_dataset(experiment.dataset, "test", TEST_BATCH, data_dir)

    def train(self, first: int):
        """Endless batches, from number `first` on."""
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


class MemoryData:
    """The images as arrays; nothing here needs TensorFlow.

    Args:
        experiment: An `Experiment`.
        data_dir: Folder of tensorflow-datasets, or `None` to download.
    """

    def __init__(self, experiment: Experiment, data_dir: str | os.PathLike | None = None):
        train, test = load_cifar_arrays(experiment.dataset, data_dir=data_dir)
        self.dataset = ArrayDataset(*train, batch_size=experiment.batch_size, seed=experiment.seed)
        self.test = ArrayDataset(*test, batch_size=TEST_BATCH, augment=False, shuffle=False)

    def train(self, first: int) -> EndlessBatches:
        """Endless batches, from number `first` on."""
        return EndlessBatches(self.dataset, first)


def open_data(experiment: Experiment, data_dir: str | os.PathLike | None = None):
    """Returns the data of a resolved experiment: `train(first)` and `test`."""
    return (TensorFlowData if experiment.data == "tfds" else MemoryData)(experiment, data_dir)
