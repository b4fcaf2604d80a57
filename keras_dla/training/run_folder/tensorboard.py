"""The log of a run in TensorBoard's format."""

import importlib.util
from pathlib import Path

import keras

from keras_dla.training.checkpoints.progress import Progress
from keras_dla.training.run_folder.folder import SETTINGS
from keras_dla.utils.files import replacing
from keras_dla.utils.folder_lock import check_lock

FOLDER = "tensorboard"
FILE = "events.out.tfevents.run"  # TensorBoard requires "tfevents" in the name
PARTS = {"train": "", "validation": "val_"}
LEFT_OUT = ("epoch", "seconds")


def has_tensorboard() -> bool:
    """Returns whether the package that writes these files is installed."""
    return importlib.util.find_spec("tensorboard") is not None


class EventFiles(keras.callbacks.Callback):
    """Writes the curves of a run for TensorBoard on every backend, without TensorFlow.

    `keras.callbacks.TensorBoard` needs TensorFlow, and repeats epochs when a run is resumed. These
    files follow from the run's history, as `log.csv` does: they are rewritten at the beginning, and
    every epoch is appended, so that TensorBoard can follow the run.

    Args:
        folder: folder of the run; the files are written to its subfolders `tensorboard/train` and
            `tensorboard/validation`.
        progress: the `Progress` that the `EpochCheckpoint` before this callback keeps up to date.

    Raises:
        ImportError: when tensorboard is not installed.

    Example:
    >>> from keras_dla.training import EpochCheckpoint, EventFiles, Progress
    >>> progress = Progress()
    >>> callbacks = [
    ...     EpochCheckpoint("runs/first", progress),
    ...     EventFiles("runs/first", progress),
    ... ]  # doctest: +SKIP
    """

    def __init__(self, folder: Path, progress: Progress):
        super().__init__()
        if not has_tensorboard():
            raise ImportError(
                "keras_dla.training.EventFiles needs tensorboard: pip install tensorboard"
            )
        self.folder = Path(folder)
        self.progress = progress

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Rewrites the files for the epochs that are done."""
        check_lock(self.folder)
        self._began = (self.folder / SETTINGS).stat().st_mtime
        for part in PARTS:
            path = self._path(part)
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as partial, partial.open("wb") as file:
                self._write(file, [_first_event(self._began), *self._events(part)])

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Appends the epoch."""
        check_lock(self.folder)
        for part in PARTS:
            with self._path(part).open("ab") as file:
                self._write(file, self._events(part)[-1:])

    def _path(self, part):
        return self.folder / FOLDER / part / FILE

    def _write(self, file, events):
        from tensorboard.summary.writer.record_writer import RecordWriter

        writer = RecordWriter(file)
        for event in events:
            writer.write(event.SerializeToString())
        writer.flush()

    def _events(self, part):
        moment, events = self._began, []
        for row in self.progress.history:
            moment += row["seconds"]
            events.append(_event(row["epoch"], _scalars(row, PARTS[part]), moment))
        return events


def _scalars(row: dict, prefix: str) -> dict:
    """Returns the values of one part (training or validation), under names that both share."""
    return {
        f"epoch_{name.removeprefix('val_')}": value
        for name, value in row.items()
        if name not in LEFT_OUT and name.startswith("val_") == bool(prefix)
    }


def _first_event(moment: float):
    from tensorboard.compat.proto.event_pb2 import Event

    return Event(wall_time=moment, file_version="brain.Event:2")


def _event(epoch: int, scalars: dict, moment: float):
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
    return Event(wall_time=moment, step=epoch, summary=Summary(value=values))
