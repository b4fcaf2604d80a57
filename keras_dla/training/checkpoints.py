"""Training that can stop at any moment and go on from the last whole epoch.

`last.keras` is the one truth: a model file that Keras can load, with the optimizer's
state inside, and beside them an entry of ours with the run's history and the state of
the random numbers, which Keras leaves out. It is replaced in one step, so model and
history always belong together. `best.keras` and `log.csv` follow from it, and whoever
goes on with the run makes them match again.
"""

import dataclasses
import json
import math
import os
import shutil
import time
import zipfile
from pathlib import Path

import keras
import numpy as np
from keras import ops

from keras_dla.files import replacing
from keras_dla.training.logs import write_log
from keras_dla.training.random_state import (
    get_counters,
    get_generators,
    set_counters,
    set_generators,
)

LAST, BEST, LOG = "last.keras", "best.keras", "log.csv"
PROGRESS = "progress.json"


@dataclasses.dataclass
class Progress:
    """How far a run has come.

    Args:
        history: One dictionary an epoch: `epoch` (from 1), `learning_rate`, Keras's logs
            and `seconds`.
        generators: State of the random numbers outside the model.
    """

    history: list[dict] = dataclasses.field(default_factory=list)
    generators: list[str] = dataclasses.field(default_factory=list)

    @property
    def epochs(self) -> int:
        """The number of epochs that are done."""
        return len(self.history)


def load_last(folder: str | os.PathLike) -> tuple[keras.Model, Progress] | None:
    """Loads the state at the end of a run's last whole epoch.

    The model comes back compiled, with the optimizer's state and that of its random
    numbers. Nothing in the file is executed (`safe_mode` of Keras).

    Args:
        folder: Folder that an `EpochCheckpoint` wrote to.

    Returns:
        The model and its `Progress`; `None` if no epoch was finished.

    Raises:
        ValueError: If the checkpoint is damaged, or its optimizer cannot be brought back.
    """
    path = Path(folder) / LAST
    if not path.exists():
        return None
    try:
        record = _read_record(path)
        model = keras.saving.load_model(path, safe_mode=True)
        set_counters(model, record["counters"])
        progress = Progress(record["history"], record["generators"])
    except Exception as error:  # what a damaged file raises depends on where the damage is
        reason = f"{type(error).__name__}: {error}".splitlines()[0].rstrip()
        raise ValueError(f"{path} cannot be read, it may be damaged ({reason}).") from error
    _check_optimizer(model, record, path)
    return model, progress


class EpochCheckpoint(keras.callbacks.Callback):
    """Saves the whole state of a run after every epoch.

    In the run's folder it keeps `last.keras` (the state to go on from, see
    `load_last()`), `best.keras` (the model of the epoch with the best `monitor`; the
    first of equals) and `log.csv` (a row an epoch: learning rate, losses, metrics,
    seconds). Each is replaced in one step: an interrupted or killed process loses the
    epoch it was in, never a file.

    An epoch whose loss is not finite ends the run with an error before anything is
    saved, so the last good state stays.

    Args:
        folder: Folder of the run, as `open_run()` makes it.
        progress: The `Progress` that `load_last()` returned, if the run goes on; then
            pass `initial_epoch=progress.epochs` to `fit()`.
        monitor: Name of the log that says which epoch is best, or `None` for no
            `best.keras`.
        mode: `"max"` or `"min"`, whether more or less of `monitor` is better.

    Raises:
        ValueError: If `mode` is unknown, `fit()` starts at another epoch than the run
            has reached, or the logs lack `monitor`.
        RuntimeError: If the loss is not finite.

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
    ):
        super().__init__()
        if mode not in ("max", "min"):
            raise ValueError(f"`mode` must be 'max' or 'min', but is {mode!r}.")
        self.folder = Path(folder)
        self.progress = Progress() if progress is None else progress
        self.monitor = monitor
        self.mode = mode

    def on_train_begin(self, logs=None):
        """Makes `best.keras` and `log.csv` match the state that the run goes on from."""
        if not self.progress.epochs:
            self._check_no_run()
            return
        self._check_monitor(self.progress.history[-1])
        self._keep_best()
        write_log(self.folder / LOG, self.progress.history)

    def on_epoch_begin(self, epoch, logs=None):
        """Notes the time and the learning rate."""
        if epoch != self.progress.epochs:
            raise ValueError(
                f"`initial_epoch` of `fit()` must be {self.progress.epochs}, the number of epochs "
                f"that {self.folder} has, but is {epoch}."
            )
        self._start = time.perf_counter()
        self._learning_rate = ops.convert_to_numpy(self.model.optimizer.learning_rate)

    def on_train_batch_begin(self, batch, logs=None):
        """Starts the epoch with the random numbers that the one before left.

        Not at the epoch's beginning, because PyTorch's data loader draws a number whenever
        it is made anew, which a run that goes on does more often.
        """
        if batch == 0:
            set_generators(self.progress.generators)

    def on_epoch_end(self, epoch, logs=None):
        """Saves the epoch."""
        row = self._row(epoch, logs or {})
        self._check_monitor(row)
        self._check_loss(row)
        saved = Progress([*self.progress.history, row], get_generators())
        with replacing(self.folder / LAST) as path:
            self.model.save(path)
            _add_record(path, self.model, saved)
        self.progress.history, self.progress.generators = saved.history, saved.generators
        self._keep_best()
        write_log(self.folder / LOG, self.progress.history)

    def _check_no_run(self):
        if (self.folder / LAST).exists():
            raise ValueError(
                f"`progress` must be what `load_last()` returns, because {self.folder} already "
                "holds a run, but is None."
            )

    def _row(self, epoch, logs):
        return {
            "epoch": epoch + 1,
            "learning_rate": _shortest(self._learning_rate),
            **{name: _shortest(value) for name, value in logs.items()},
            "seconds": round(time.perf_counter() - self._start, 3),
        }

    def _check_monitor(self, row):
        if self.monitor is not None and self.monitor not in row:
            raise ValueError(
                f"`monitor` must be one of {', '.join(map(repr, row))}, but is {self.monitor!r}."
            )

    def _check_loss(self, row):
        if not math.isfinite(row.get("loss", 0.0)):
            raise RuntimeError(
                f"The loss of epoch {row['epoch']} is {row['loss']}, so training stops here; "
                f"{self.folder} keeps the state after epoch {row['epoch'] - 1}."
            )

    def _keep_best(self):
        """Copies the last state if it is the best.

        It copies what is on the disk, so that a run that stopped between the two
        catches up when it goes on.
        """
        if self.monitor is None or not self._last_is_best():
            return
        with replacing(self.folder / BEST) as path:
            shutil.copyfile(self.folder / LAST, path)

    def _last_is_best(self):
        *earlier, last = map(self._score, self.progress.history)
        return all(last > score for score in earlier)

    def _score(self, row):
        value = row[self.monitor]
        if math.isnan(value):
            return -math.inf
        return value if self.mode == "max" else -value


def _shortest(value) -> float:
    """The number with the fewest digits that is this float32: 0.1, not 0.10000000149."""
    return float(str(np.float32(value)))


def _add_record(path: Path, model: keras.Model, progress: Progress) -> None:
    record = {
        **dataclasses.asdict(progress),
        "counters": get_counters(model),
        "optimizer_variables": len(model.optimizer.variables),
    }
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(PROGRESS, json.dumps(record))


def _check_optimizer(model: keras.Model, record: dict, path: Path) -> None:
    """Raises `ValueError` where Keras only warns that it left out the optimizer's state."""
    if len(model.optimizer.variables) != record["optimizer_variables"]:
        raise ValueError(
            f"{path} was loaded without the state of its optimizer: set the global dtype policy "
            "that the run had."
        )


def _read_record(path: Path) -> dict:
    with zipfile.ZipFile(path) as archive:
        broken = archive.testzip()
        if broken is not None:
            raise ValueError(f"{broken} in it has a wrong checksum.")
        return json.loads(archive.read(PROGRESS))
