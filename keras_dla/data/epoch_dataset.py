"""The common base of data sets from which Keras reads batches in order, epoch by epoch."""

import warnings

import keras


class SerialDataset(keras.utils.PyDataset):
    """A `keras.utils.PyDataset` from which Keras reads batches in order, in one thread.

    Keras's own workers read ahead and discard what is left at the end of an epoch: batches would be
    skipped, and it would be unknown to which epoch a batch belongs. So `workers` stays 1.
    """

    @property
    def workers(self) -> int:
        """Always 1."""
        return 1

    @workers.setter
    def workers(self, value: int) -> None:
        if value > 1:
            warnings.warn(
                f"`workers` of {type(self).__name__} must be 1, so that batches keep their "
                f"order, but is {value!r}; it stays 1.",
                stacklevel=2,
            )

    @property
    def use_multiprocessing(self) -> bool:
        """Always false, for the same reason."""
        return False

    @use_multiprocessing.setter
    def use_multiprocessing(self, value: bool) -> None:
        if value:
            warnings.warn(
                f"`use_multiprocessing` of {type(self).__name__} must be False, so that batches "
                f"keep their order, but is {value!r}; it stays False.",
                stacklevel=2,
            )


class EpochDataset(SerialDataset):
    """A data set with batches that depend on the epoch, which ends once all its batches were read.

    Keras also starts and ends epochs only to look at a batch or two, or after `steps_per_epoch`
    batches, and continues with the others in its next epoch. Here an epoch ends once every batch
    has been read, in however many of Keras's epochs.

    Args:
        initial_epoch: integer, the epoch to start with, counted from 0; defaults to 0.
    """

    def __init__(self, initial_epoch: int = 0):
        super().__init__()
        self.epoch = initial_epoch
        self._asked_for: set[int] = set()

    def note_batch(self, index: int) -> None:
        """Counts batch `index` as read; raises `IndexError` if there is none."""
        if not 0 <= index < len(self):
            raise IndexError(f"`index` must be from 0 to {len(self) - 1}, but is {index}.")
        self._asked_for.add(index)

    def on_epoch_end(self) -> None:
        """Advances to the next epoch if every batch of this one has been read."""
        if len(self._asked_for) == len(self):
            self.epoch += 1
            self._asked_for = set()
