"""A run that is stopped inside an epoch ends as if it had not been stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_dla.data import ArrayDataset
from keras_dla.training import EndlessBatches, EpochCheckpoint, Progress, load_last, resume_fit
from tests.backends import all_on_pytorch, on_pytorch
from tests.training import tiny
from tests.training.checkpoints.test_epoch_checkpoint import (
    assert_same_run,
    log_of,
    state_of,
    without_seconds,
)

EPOCHS = 3
ROOT = Path(__file__).resolve().parents[3]
posix = pytest.mark.skipif(os.name != "posix", reason="such a signal or limit is POSIX's")


class Stop(keras.callbacks.Callback):
    """Stops before a step of an epoch, or does something else there."""

    def __init__(self, epoch, step, act=None):
        super().__init__()
        self.place, self.act = (epoch, step), act

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (self.epoch, batch) == self.place:
            if self.act is None:
                raise KeyboardInterrupt
            self.act()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run that nothing stopped, saved between epochs only."""
    folder = tmp_path_factory.mktemp("whole")
    tiny.run(folder, EPOCHS)
    return folder


@on_pytorch
def test_saving_inside_epochs_changes_no_number(whole, tmp_path):
    tiny.run(tmp_path, EPOCHS, every_steps=1)
    assert_same_run(tmp_path, whole)


@pytest.mark.parametrize(("epoch", "step"), all_on_pytorch([(2, 2), (0, 1)], 1))
def test_goes_on_from_the_last_step_that_was_saved(whole, tmp_path, epoch, step):
    with pytest.raises(KeyboardInterrupt):
        tiny.run(tmp_path, EPOCHS, callbacks=[Stop(epoch, step)], every_steps=1)
    _, progress = load_last(tmp_path)
    assert (progress.epochs, progress.steps) == (epoch, step)
    tiny.run(tmp_path, EPOCHS, every_steps=1)
    assert_same_run(tmp_path, whole)


@on_pytorch
def test_stopped_twice_in_one_epoch(whole, tmp_path):
    for step, done in ((3, 2), (1, 2), (2, 4)):
        with pytest.raises(KeyboardInterrupt):
            tiny.run(tmp_path, EPOCHS, callbacks=[Stop(1, step)], every_steps=2, steps=6)
        _, progress = load_last(tmp_path)
        assert (progress.epochs, progress.steps) == (1, done)
    tiny.run(tmp_path, EPOCHS, steps=6)
    other = tmp_path / "other"
    tiny.run(other, EPOCHS, steps=6)
    assert_same_run(tmp_path, other)


@on_pytorch
def test_by_seconds(tmp_path):
    saver = EpochCheckpoint(tmp_path, monitor=None, every_seconds=3600)
    saver.on_train_begin()
    saver._first_step = 0
    assert not saver._is_due(1)
    saver._saved_at -= 3600
    assert saver._is_due(1)


SECONDS = 120


@on_pytorch
@posix
def test_kill_at_any_moment(tmp_path):
    """Kills a process that mostly saves, and compares with a run up to the same step."""
    epochs = 1000
    command = [sys.executable, "-m", "tests.training.tiny", str(tmp_path / "run"), str(epochs), "1"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        waited = time.monotonic()
        while not (tmp_path / "run" / "log.csv").exists():
            assert process.poll() is None, "the run ended by itself"
            assert time.monotonic() < waited + SECONDS
            time.sleep(0.001)
        time.sleep(0.013)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    _, progress = load_last(tmp_path / "run")
    until = progress.epochs + 2
    tiny.run(tmp_path / "run", epochs, until=until)
    tiny.run(tmp_path / "alone", epochs, until=until)
    assert_same_run(tmp_path / "run", tmp_path / "alone")


@on_pytorch
@posix
def test_a_full_disk_leaves_the_last_good_state(whole, tmp_path):
    """No file may grow beyond half of the checkpoint, as on a disk that fills up meanwhile."""
    import resource

    size = (whole / "last.keras").stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, limits[1]))

    try:
        with pytest.raises(OSError, match=r"last\.keras cannot be written .* step 2 of epoch 2\."):
            tiny.run(tmp_path, EPOCHS, callbacks=[Stop(1, 2, fill)], every_steps=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".partial-")]
    _, progress = load_last(tmp_path)
    assert (progress.epochs, progress.steps) == (1, 2)
    tiny.run(tmp_path, EPOCHS)
    assert_same_run(tmp_path, whole)


@on_pytorch
def test_an_error_of_the_disk_in_the_last_moment(whole, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    def act():
        monkeypatch.setattr(os, "fsync", fail)

    with pytest.raises(OSError, match=r"No space left on device\); .* after step 1 of epoch 1\."):
        tiny.run(tmp_path, EPOCHS, callbacks=[Stop(0, 1, act)], every_steps=1)
    monkeypatch.undo()
    tiny.run(tmp_path, EPOCHS)
    assert_same_run(tmp_path, whole)


@on_pytorch
def test_a_state_inside_an_epoch_is_not_taken_for_its_end(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        tiny.run(tmp_path, EPOCHS, callbacks=[Stop(1, 3)], every_steps=3)
    model, progress = load_last(tmp_path)
    sentence = r"`steps_per_epoch` of `fit\(\)` must be 1, .* has left in epoch 2, but is 4;"
    with pytest.raises(ValueError, match=sentence):
        model.fit(
            tiny.Batches(0),
            steps_per_epoch=tiny.BATCHES,
            initial_epoch=1,
            epochs=2,
            shuffle=False,
            verbose=0,
            callbacks=[EpochCheckpoint(tmp_path, progress)],
        )


@on_pytorch
def test_a_divergence_inside_an_epoch_is_not_saved(whole, tmp_path):
    def poison():
        saver.model.trainable_variables[0].assign(np.full((6, 8), np.nan))

    saver = Stop(1, 2, poison)
    with pytest.raises(RuntimeError, match=r"The loss is nan at step 3 of epoch 2, so training"):
        tiny.run(tmp_path, EPOCHS, callbacks=[saver], every_steps=1)
    assert load_last(tmp_path)[1].steps == 2
    tiny.run(tmp_path, EPOCHS)
    assert_same_run(tmp_path, whole)


@on_pytorch
def test_a_state_of_an_earlier_version_is_read(whole, monkeypatch):
    from keras_dla.training.checkpoints import progress as checkpoints

    read = checkpoints._read_record

    def without_part(path):
        return {name: value for name, value in read(path).items() if name != "part"}

    expected = state_of(whole)
    monkeypatch.setattr(checkpoints, "_read_record", without_part)
    assert load_last(whole)[1].steps == 0
    assert len(state_of(whole)) == len(expected)
    assert len(without_seconds(log_of(whole))) == EPOCHS


@on_pytorch
@pytest.mark.parametrize("argument", ["every_steps", "every_seconds"])
def test_bad_intervals_are_named(tmp_path, argument):
    with pytest.raises(ValueError, match=f"`{argument}` must be .*, but is 0"):
        EpochCheckpoint(tmp_path, **{argument: 0})


def test_labels_without_a_class_are_refused_before_the_first_step():
    dataset = ArrayDataset(np.zeros((4, 8, 8, 3), "uint8"), np.array([0, 1, 2, 3]), batch_size=2)
    layers = [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]
    model = keras.Sequential(layers)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    with pytest.raises(ValueError, match="`labels` must be integers from 0 to 2, but contain 3"):
        resume_fit(model, lambda first: EndlessBatches(dataset, first), Progress(), 2, epochs=1)
    assert int(model.optimizer.iterations) == 0
