"""Trains a run from its present state to its end."""

from collections.abc import Callable, Iterable
from typing import Any

import keras

from keras_dla.data.classification.prepared_folder import naming_damaged_batches
from keras_dla.training.checkpoints.metric_state import build_metrics
from keras_dla.training.checkpoints.progress import Progress
from keras_dla.training.devices.devices import broadcast
from keras_dla.utils.label_check import check_classes


def resume_fit(
    model: keras.Model,
    batches: Callable[[int], Iterable],
    progress: Progress,
    steps_per_epoch: int,
    epochs: int,
    **kwargs: Any,
) -> None:
    """Trains the rest of a run: the rest of an unfinished epoch, then whole epochs.

    Args:
        model: a compiled model, new or from `load_last()`.
        batches: function of a number of batches to skip that returns endless training data, such as
            `lambda first: EndlessBatches(dataset, first)`.
        progress: the run's `Progress`, which its `EpochCheckpoint` keeps up to date.
        steps_per_epoch: integer, steps of a whole epoch.
        epochs: integer, epochs of the whole run.
        **kwargs: further arguments of `model.fit()`: `callbacks`, with the run's `EpochCheckpoint`
            among them (in every process of `launch()`), `validation_data`, `verbose`.

    Raises:
        ValueError: when the processes of `launch()` do not continue from the same state, or an
            `ArrayDataset` has labels that the model has no class for, or an image of a prepared
            data set is damaged.

    Example:
    >>> import keras, numpy as np, tempfile
    >>> from keras_dla.data import ArrayDataset
    >>> from keras_dla.training import EndlessBatches, EpochCheckpoint, Progress, resume_fit
    >>> data = ArrayDataset(np.zeros((4, 8, 8, 3), "uint8"), np.arange(4), batch_size=2)
    >>> layers = [keras.layers.Flatten(), keras.layers.Dense(4)]
    >>> model = keras.Sequential([keras.Input((8, 8, 3)), *layers])
    >>> model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    >>> folder, progress = tempfile.TemporaryDirectory(), Progress()
    >>> saver = EpochCheckpoint(folder.name, progress, monitor=None, every_steps=1)
    >>> batches = lambda first: EndlessBatches(data, first)
    >>> resume_fit(model, batches, progress, 2, epochs=3, callbacks=[saver], verbose=0)
    >>> progress.epochs, progress.steps
    (3, 0)
    >>> folder.cleanup()
    """
    done, part = progress.epochs, progress.part
    _check_same_place(done * steps_per_epoch + progress.steps)

    def fit(data, steps, until):
        check_classes(model, data, kwargs.get("validation_data"))
        place = {"steps_per_epoch": steps, "initial_epoch": done, "epochs": until}
        with naming_damaged_batches():
            model.fit(data, shuffle=False, **place, **kwargs)

    if part is not None:
        rest = batches(done * steps_per_epoch + part.steps)
        build_metrics(model, rest)
        fit(rest, part.left, until=done + 1)
        done += 1
    # Even with nothing left to do, because the callbacks then bring the run's other files up to
    # date.
    fit(batches(done * steps_per_epoch), steps_per_epoch, until=epochs)


def _check_same_place(steps: int) -> None:
    """Raises `ValueError` for different states; processes would wait for ever or mix them."""
    expected = broadcast(steps)
    if steps != expected:
        raise ValueError(
            "The run's folder must be the same for every process, but in one process it has "
            f"{steps} steps and in the main process {expected}."
        )
