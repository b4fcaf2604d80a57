"""Training that can stop at any moment and continue from the last checkpoint.

`last.keras` is the single source of truth: a model file that Keras can load, including the
optimizer's state, with an additional entry for the run's history, the state of the random numbers
and, inside an epoch, that of the metrics, all of which Keras leaves out. It is replaced in one
step, so model and history always belong together. `best.keras` and `log.csv` follow from it, and
are brought into line again when the run continues.
"""

import dataclasses
import math
import os
import time
from pathlib import Path

import keras
import numpy as np
from keras import ops

from keras_dla.keras_internals.without_tensorflow import without_tensorflow
from keras_dla.training.checkpoints.divergence import (
    DivergenceError,
    check_running_loss,
    check_weights,
)
from keras_dla.training.checkpoints.metric_state import get_metrics, set_metrics
from keras_dla.training.checkpoints.progress import LAST, EpochPart, Progress, add_record
from keras_dla.training.checkpoints.random_state import get_generators, set_generators
from keras_dla.training.checkpoints.run_files import write_others
from keras_dla.training.devices.devices import (
    all_gather,
    broadcast,
    is_main_process,
    process_index,
)
from keras_dla.utils.files import replacing
from keras_dla.utils.folder_lock import check_lock
from keras_dla.utils.validation import check_positive_integer


class EpochCheckpoint(keras.callbacks.Callback):
    """Saves the whole state of a run after every epoch, and inside epochs if asked to.

    In the run's folder it keeps `last.keras` (the state to continue from, see `load_last()`),
    `best.keras` (the model of the epoch with the best `monitor`; the first one if several are
    equal) and `log.csv` (one row per epoch: learning rate, losses, metrics, seconds). Each is
    replaced in one step: an interrupted or killed process loses the work since the last state, but
    never a file.

    A loss that is not finite ends the run with an error before anything is saved, so the last good
    state is kept. The same holds for a full disk.

    In `launch()` every process needs one, because all of them track the progress; only the main one
    writes.

    Args:
        folder: folder of the run, as `open_run()` returns it.
        progress: the `Progress` that `load_last()` returned, if the run is resumed; `resume_fit()`
            then starts at the right place; defaults to None.
        monitor: name of the metric that decides which epoch is best, or `None` for no `best.keras`;
            defaults to `"val_accuracy"`.
        mode: `"max"` or `"min"`, whether higher or lower values of `monitor` are better; defaults
            to `"max"`.
        every_steps: integer, the number of steps after which a state is saved inside an epoch, or
            `None` for no such states; defaults to None.
        every_seconds: float, the same in seconds since the last state; defaults to None.

    Raises:
        ValueError: when an argument is not as described above, `fit()` does not start where the run
            has stopped, or the logs lack `monitor`.
        DivergenceError: when the loss is not finite.
        OSError: when a state cannot be written.

    Example:
    >>> import keras, tempfile
    >>> from keras_dla.training import EpochCheckpoint, load_last
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", loss="mse")
    >>> folder = tempfile.TemporaryDirectory()
    >>> saver = EpochCheckpoint(folder.name, monitor="loss", mode="min")
    >>> x, y = keras.ops.ones((8, 2)), keras.ops.ones((8, 1))
    >>> history = model.fit(x, y, epochs=3, verbose=0, callbacks=[saver])
    >>> model, progress = load_last(folder.name)
    >>> progress.epochs
    3
    >>> folder.cleanup()
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        progress: Progress | None = None,
        monitor: str | None = "val_accuracy",
        mode: str = "max",
        every_steps: int | None = None,
        every_seconds: float | None = None,
    ):
        super().__init__()
        if mode not in ("max", "min"):
            raise ValueError(f"`mode` must be 'max' or 'min', but is {mode!r}.")
        if every_steps is not None:
            check_positive_integer("every_steps", every_steps)
        if every_seconds is not None and not every_seconds > 0:
            raise ValueError(f"`every_seconds` must be positive, but is {every_seconds!r}.")
        self.folder = Path(folder)
        self.progress = Progress() if progress is None else progress
        self.monitor = monitor
        self.mode = mode
        self.every_steps = every_steps
        self.every_seconds = every_seconds

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Makes `best.keras` and `log.csv` match the state from which the run continues."""
        self._saved_at = time.perf_counter()
        if self.progress.part is not None:
            return  # the other files were brought up to date before the epoch began
        if not self.progress.epochs:
            if is_main_process():  # in the other processes: the main one may have begun to write
                self._check_no_run()
            return
        self._check_monitor(self.progress.history[-1])
        self._write_others()

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Stores the time and the learning rate."""
        self._check_place(epoch)
        part = self.progress.part
        self._start = time.perf_counter()
        if part is None:
            self._earlier_seconds = 0.0
            rate = self.model.optimizer.learning_rate
            self._learning_rate = _shortest(ops.convert_to_numpy(ops.convert_to_tensor(rate)))
        else:
            self._earlier_seconds = part.seconds
            self._learning_rate = part.learning_rate

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Restores the last state at the first step, and saves states inside the epoch.

        This is not done at the beginning of the epoch, because PyTorch's data loader draws a random
        number whenever it is created, which happens more often in a resumed run; nor at the end of
        a batch, where Keras would wait for the device each time.
        """
        if batch == 0:
            self._first_step = self.progress.steps
            set_generators(self._own_generators())
            if self.progress.part is not None:
                set_metrics(self.model, self.progress.part.metrics)
        elif self._is_due(batch):
            self._save_part(batch)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Saves the epoch."""
        row = self._row(epoch, logs or {})
        self._check_monitor(row)
        self._check_loss(row)
        self._save([*self.progress.history, row])
        self._write_others()

    def _is_due(self, batch):
        if self.every_steps and (self._first_step + batch) % self.every_steps == 0:
            return True
        if self.every_seconds is None:
            return False
        waited = time.perf_counter() - self._saved_at
        # Every process contributes to a state, and their clocks differ.
        return bool(broadcast(int(waited >= self.every_seconds)))

    def _save_part(self, batch):
        if self.params["steps"] is None:
            return  # it is unknown how much of the epoch is left
        steps = self._first_step + batch
        check_running_loss(self.model, self.progress.epochs + 1, steps)
        part = EpochPart(
            steps=steps,
            left=self.params["steps"] - batch,
            learning_rate=self._learning_rate,
            seconds=self._seconds(),
            metrics=get_metrics(self.model),
        )
        self._save(self.progress.history, part)

    def _save(self, history: list[dict], part: EpochPart | None = None):
        generators, *others = all_gather(get_generators())
        progress = Progress(history, generators, part, others)
        check_weights(self.model, _place(progress))
        if is_main_process():
            self._write(progress)
        for field in dataclasses.fields(Progress):
            setattr(self.progress, field.name, getattr(progress, field.name))
        self._saved_at = time.perf_counter()

    def _write(self, progress: Progress):
        check_lock(self.folder)
        self._check_clock()
        try:
            with replacing(self.folder / LAST) as path, without_tensorflow():
                self.model.save(path)
                add_record(path, self.model, progress)
        except OSError as error:
            raise OSError(
                f"{self.folder / LAST} cannot be written ({error.strerror or error}); the "
                f"previous state is kept, {_place(self.progress)}."
            ) from error

    def _check_clock(self):
        """Raises `OSError` if the clock shows a year that a model file (zip) cannot store."""
        year = time.localtime().tm_year
        if not 1980 <= year <= 2107:
            raise OSError(
                f"{self.folder / LAST} cannot be written because the clock shows the year "
                f"{year}, which must be from 1980 to 2107; the previous state is kept, "
                f"{_place(self.progress)}."
            )

    def _write_others(self):
        if is_main_process():
            write_others(self.folder, self.progress, self.monitor, self.mode)

    def _own_generators(self):
        """Returns this process's generators; none for a process that is new in the run."""
        every = [self.progress.generators, *self.progress.other_generators]
        number = process_index()
        return every[number] if number < len(every) else []

    def _check_place(self, epoch):
        if epoch != self.progress.epochs:
            raise ValueError(
                f"`initial_epoch` of `fit()` must be {self.progress.epochs}, the number of "
                f"epochs done in {self.folder}, but is {epoch}."
            )
        part = self.progress.part
        if part is not None and part.left != self.params["steps"]:
            raise ValueError(
                f"`steps_per_epoch` of `fit()` must be {part.left}, the steps that {self.folder} "
                f"has left in epoch {epoch + 1}, but is {self.params['steps']}; `resume_fit()` "
                "sets it."
            )

    def _seconds(self):
        return round(self._earlier_seconds + time.perf_counter() - self._start, 3)

    def _check_no_run(self):
        if (self.folder / LAST).exists():
            raise ValueError(
                f"`progress` must be the one that `load_last()` returns, because {self.folder} "
                "already contains a run, but is None."
            )

    def _row(self, epoch, logs):
        return {
            "epoch": epoch + 1,
            "learning_rate": self._learning_rate,
            **{name: _shortest(value) for name, value in logs.items()},
            "seconds": self._seconds(),
        }

    def _check_monitor(self, row):
        if self.monitor is not None and self.monitor not in row:
            raise ValueError(
                f"`monitor` must be one of {', '.join(map(repr, row))}, but is {self.monitor!r}."
            )

    def _check_loss(self, row):
        for name in ("loss", "val_loss"):
            if not math.isfinite(row.get(name, 0.0)):
                raise DivergenceError(
                    f"The {name} of epoch {row['epoch']} is {row[name]}, so training stops here; "
                    f"{self.folder} keeps the state {_place(self.progress)}."
                )


def _shortest(value) -> float:
    """Returns the shortest number that rounds to this float32: 0.1, not 0.10000000149."""
    return float(str(np.float32(value)))


def _place(progress: Progress) -> str:
    if progress.part is None:
        return f"after epoch {progress.epochs}"
    return f"after step {progress.steps} of epoch {progress.epochs + 1}"
