"""Batches of several data sets, stacked along a new first axis."""

import itertools
from collections.abc import Iterable, Iterator

import keras
import numpy as np
from keras import ops


def batches_of(data: Iterable, steps: int | None = None) -> Iterator:
    """Yields the batches of an epoch, on the device if they are there, else as NumPy arrays.

    Args:
        data: a `keras.utils.PyDataset`, `tf.data.Dataset` or other iterable of batches.
        steps: integer, the number of batches; by default all of them.
    """
    batches = _entries(data) if isinstance(data, keras.utils.PyDataset) else data
    for batch in itertools.islice(batches, steps):
        yield keras.tree.map_structure(_array, tuple(batch))


def _array(part):
    return part if ops.is_tensor(part) else np.asarray(part)


def _entries(dataset):
    count = dataset.num_batches
    for index in itertools.count() if count is None else range(count):
        yield dataset[index]


def stacked_batches(datasets: list[Iterable], steps: int | None = None) -> Iterator:
    """Yields batches with arrays `[datasets, batch, ...]`.

    Args:
        datasets: iterables of batches, one per seed.
        steps: integer, the number of batches; by default all of them.

    Raises:
        ValueError: when the data sets differ in their numbers or shapes of batches, or have fewer
            than `steps` batches.
    """
    number = 0
    for batches in itertools.zip_longest(*(batches_of(data, steps) for data in datasets)):
        _check_equal(batches, number)
        yield keras.tree.map_structure(_stacked, *batches)
        number += 1
    if steps is not None and number < steps:
        raise ValueError(
            f"`data` must have the {steps} batches of `steps_per_epoch`, but has {number}."
        )


def _stacked(*arrays):
    return ops.stack(arrays) if ops.is_tensor(arrays[0]) else np.stack(arrays)


def _check_equal(batches, number):
    if any(batch is None for batch in batches):
        raise ValueError(
            "`data` must have the same number of batches for every seed, but for one it ends at "
            f"{number}."
        )
    shapes = {str([array.shape for array in keras.tree.flatten(batch)]) for batch in batches}
    if len(shapes) > 1:
        raise ValueError(
            f"`data` must have batches of the same shape for all seeds, but batch {number} has "
            f"{' and '.join(sorted(shapes))}."
        )
