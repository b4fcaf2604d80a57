"""What data sets have in common that Keras asks for one batch after another, epoch by epoch."""

import warnings

import keras


class SerialDataset(keras.utils.PyDataset):
    """A `keras.utils.PyDataset` that Keras asks for its batches in order, in one thread.

    Keras's own workers ask ahead, and drop what they got at the end of an epoch: batches would be
    left out, and nobody could tell which epoch a batch belongs to. So `workers` stays at 1.
    """

    @property
    def workers(self) -> int:
        """Always 1."""
        return 1

    @workers.setter
    def workers(self, value: int) -> None:
        if value > 1:
            warnings.warn(
                f"`workers` of {type(self).__name__} must be 1, so that batches keep their order, "
                f"but is {value!r}; it stays at 1.",
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
    """A data set whose batches depend on the epoch, which goes on when Keras has seen all of one.

    Keras also begins and ends epochs only to look at a batch or two, or after `steps_per_epoch`
    batches, and goes on with the others in its next epoch. So an epoch is over here when every
    batch was asked for, in however many of Keras's.

    Args:
        initial_epoch: integer, the epoch to start with, counted from 0; defaults to 0.
    """

    def __init__(self, initial_epoch: int = 0):
        super().__init__()
        self.epoch = initial_epoch
        self._asked_for: set[int] = set()

    def note_batch(self, index: int) -> None:
        """Counts batch `index` as asked for; `IndexError` if there is none."""
        if not 0 <= index < len(self):
            raise IndexError(f"`index` must be from 0 to {len(self) - 1}, but is {index}.")
        self._asked_for.add(index)

    def on_epoch_end(self) -> None:
        """Goes on to the next epoch if every batch of this one has been asked for."""
        if len(self._asked_for) == len(self):
            self.epoch += 1
            self._asked_for = set()
