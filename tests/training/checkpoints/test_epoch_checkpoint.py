"""A run that is stopped at any moment ends as if it had not been stopped."""

import csv
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_dla.training import EpochCheckpoint, load_last
from keras_dla.training.checkpoints import epoch_checkpoint, run_files
from keras_dla.training.checkpoints.random_state import set_generators
from tests.backends import all_on_pytorch, on_pytorch
from tests.training import tiny

EPOCHS = 6
ROOT = Path(__file__).resolve().parents[3]


def log_of(folder):
    with (folder / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def rows_of_log(folder):
    return log_of(folder) if (folder / "log.csv").exists() else []


def without_seconds(rows):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def state_of(folder):
    """Every number of the last state, with those that are not weights."""
    model, _ = load_last(folder)
    variables = model.variables + model.optimizer.variables
    return [keras.ops.convert_to_numpy(v) for v in variables if "metric" not in v.path]


def best_weights(folder):
    return keras.saving.load_model(folder / "best.keras").get_weights()


def assert_same_run(folder, other):
    assert without_seconds(log_of(folder)) == without_seconds(log_of(other))
    for arrays in (state_of, best_weights):
        for array, expected in zip(arrays(folder), arrays(other), strict=True):
            np.testing.assert_array_equal(array, expected)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    tiny.run(folder, EPOCHS)
    return folder


def test_a_whole_run_leaves_these_files(whole):
    names = {path.name for path in whole.iterdir()}
    assert names == {"settings.json", "run.lock", "last.keras", "best.keras", "log.csv"}


@on_pytorch
def test_log_has_a_row_an_epoch(whole):
    rows = log_of(whole)
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    assert list(rows[0]) == [
        "epoch", "learning_rate", "accuracy", "loss", "val_accuracy", "val_loss", "seconds",
    ]  # fmt: skip
    # 180 epochs drop at 100 and 150, so 6 drop at 3 and 5.
    rates = [row["learning_rate"] for row in rows]
    assert rates == ["0.1", "0.1", "0.1", "0.01", "0.01", "0.001"]


@on_pytorch
def test_best_is_the_first_of_the_best_epochs(whole):
    rows = log_of(whole)
    best = max(float(row["val_accuracy"]) for row in rows)
    results = keras.saving.load_model(whole / "best.keras").evaluate(
        tiny.VALIDATION, verbose=0, return_dict=True
    )
    first = next(row for row in rows if float(row["val_accuracy"]) == best)
    assert results["accuracy"] == pytest.approx(best)
    assert results["loss"] == pytest.approx(float(first["val_loss"]), rel=1e-5)


def test_the_model_loads_as_any_keras_model(whole, recwarn):
    model = keras.saving.load_model(whole / "last.keras")
    assert int(model.optimizer.iterations) == EPOCHS * tiny.BATCHES
    assert not [warning for warning in recwarn if warning.category is UserWarning]


def test_random_state_comes_back(tmp_path):
    """The next random numbers are those that the run would have drawn."""
    model = tiny.run(tmp_path, EPOCHS, until=2)
    x = np.ones((4, 6), "float32")
    expected = keras.ops.convert_to_numpy(model(x, training=True))
    other = keras.ops.convert_to_numpy(model(x, training=True))
    assert not np.array_equal(other, expected)
    loaded, progress = load_last(tmp_path)
    set_generators(progress.generators)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(loaded(x, training=True)), expected)


@pytest.mark.parametrize("stop", all_on_pytorch([3, 1, 5], 1))
def test_a_stopped_run_goes_on_to_the_same_end(whole, tmp_path, stop):
    tiny.run(tmp_path, EPOCHS, until=stop)
    assert load_last(tmp_path)[1].epochs == stop
    tiny.run(tmp_path, EPOCHS)
    assert_same_run(tmp_path, whole)


@on_pytorch
def test_a_finished_run_has_nothing_left_to_do(whole):
    before = (whole / "last.keras").read_bytes()
    tiny.run(whole, EPOCHS)
    assert (whole / "last.keras").read_bytes() == before
    assert len(log_of(whole)) == EPOCHS


class InterruptInEpoch(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations) >= 0 and self.epoch == 2 and batch == 1:
            raise KeyboardInterrupt

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch


@on_pytorch
def test_interrupt_in_an_epoch_loses_that_epoch_alone(whole, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        tiny.run(tmp_path, EPOCHS, callbacks=[InterruptInEpoch()])
    assert load_last(tmp_path)[1].epochs == 2
    tiny.run(tmp_path, EPOCHS)
    assert_same_run(tmp_path, whole)


ACCURACIES = (0.1, 0.3, 0.2, 0.4)


def save_epochs(folder, model):
    """Saves the epochs that are missing, each with its number as a weight."""
    state = load_last(folder)
    saver = EpochCheckpoint(folder, None if state is None else state[1])
    saver.set_model(model)
    saver.on_train_begin()
    for epoch in range(saver.progress.epochs, len(ACCURACIES)):
        model.get_layer("mark").set_weights([np.array([[epoch + 1.0]])])
        saver.on_epoch_begin(epoch)
        saver.on_epoch_end(epoch, {"loss": 1.0, "val_accuracy": ACCURACIES[epoch]})


def marked_model():
    mark = keras.layers.Dense(1, use_bias=False, name="mark")
    model = keras.Sequential([keras.Input((1,)), mark])
    model.compile("sgd", "mse")
    return model


def mark_of(model):
    return int(model.get_layer("mark").get_weights()[0][0, 0])


@on_pytorch
@pytest.mark.parametrize("function", ["fsync", "replace"])
@pytest.mark.parametrize("call", range(11))
def test_interrupt_in_saving_loses_at_most_an_epoch(tmp_path, monkeypatch, function, call):
    """Stops at each of the calls that make files final; replacing takes 1, flushing 2 a file."""
    original, calls = getattr(os, function), []

    def interrupted(*arguments):
        if len(calls) == call:
            raise KeyboardInterrupt
        calls.append(arguments)
        return original(*arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, function, interrupted)
        save_epochs(tmp_path, marked_model())
    left = load_last(tmp_path)
    if left is not None:
        model, progress = left
        assert mark_of(model) == progress.epochs
        assert [row["val_accuracy"] for row in progress.history] == list(
            ACCURACIES[: progress.epochs]
        )
    assert (0 if left is None else left[1].epochs) >= len(rows_of_log(tmp_path))
    check_catching_up(tmp_path)


def check_catching_up(folder):
    """Whoever goes on finds the best model and the log of exactly the saved epochs."""
    state = load_last(folder)
    if state is not None:
        saver = EpochCheckpoint(folder, state[1])
        saver.set_model(state[0])
        saver.on_train_begin()
        done = ACCURACIES[: state[1].epochs]
        best = keras.saving.load_model(folder / "best.keras")
        assert ACCURACIES[mark_of(best) - 1] == max(done)
        assert [float(row["val_accuracy"]) for row in log_of(folder)] == list(done)
    save_epochs(folder, marked_model())
    assert mark_of(load_last(folder)[0]) == 4
    assert mark_of(keras.saving.load_model(folder / "best.keras")) == 4
    assert [row["epoch"] for row in log_of(folder)] == ["1", "2", "3", "4"]
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


@on_pytorch
@pytest.mark.skipif(os.name != "posix", reason="a kill that cannot be caught is POSIX's")
def test_kill_at_random_moments_loses_at_most_an_epoch(tmp_path):
    """Kills a run whose epochs are mostly saving, and looks at what is left each time."""
    generator = random.Random(0)
    epochs = 1000
    done = 0
    for _ in range(2):
        done = kill_after_some_epochs(tmp_path, epochs, done, generator.random() * 0.3)
        _, progress = load_last(tmp_path)
        assert progress.epochs >= done
        assert [row["epoch"] for row in progress.history] == list(range(1, progress.epochs + 1))
        done = progress.epochs
    rows = without_seconds(log_of(tmp_path))
    alone = tmp_path / "alone"
    tiny.run(alone, epochs, until=done)
    assert rows in (without_seconds(log_of(alone)), without_seconds(log_of(alone))[:-1])
    for array, expected in zip(state_of(tmp_path), state_of(alone), strict=True):
        np.testing.assert_array_equal(array, expected)


def kill_after_some_epochs(folder, epochs, done, pause):
    """Returns the number of epochs that the log had shortly before the kill."""
    command = [sys.executable, "-m", "tests.training.tiny", str(folder), str(epochs), "0"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        while len(rows_of_log(folder)) < done + 3:
            assert process.poll() is None, "the run ended by itself"
            time.sleep(0.01)
        time.sleep(pause)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    return done + 3


def test_no_state_before_the_first_epoch_ends(tmp_path):
    assert load_last(tmp_path) is None
    assert load_last(tmp_path / "missing") is None


def test_a_lost_optimizer_is_an_error(tmp_path):
    """Keras wraps the optimizer by the global policy, and saves it unwrapped."""
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_float16")
        fit_two_epochs(EpochCheckpoint(tmp_path, monitor=None))
    finally:
        keras.config.set_dtype_policy(before)
    with (
        pytest.warns(UserWarning, match="Skipping variable loading for optimizer"),
        pytest.raises(ValueError, match="without the state of its optimizer: set the global dtype"),
    ):
        load_last(tmp_path)


def fit_two_epochs(saver, y=1.0, **kwargs):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.ones((4, 2), "float32")
    model.fit(x, np.full((4, 1), y), epochs=2, verbose=0, callbacks=[saver], **kwargs)
    return model


@on_pytorch
def test_less_can_be_better(tmp_path):
    fit_two_epochs(EpochCheckpoint(tmp_path, monitor="loss", mode="min"))
    first, second = (float(row["loss"]) for row in log_of(tmp_path))
    assert second < first
    best, last = (tmp_path / name for name in ("best.keras", "last.keras"))
    assert best.read_bytes() == last.read_bytes()


@on_pytorch
def test_without_a_monitor_there_is_no_best(tmp_path):
    fit_two_epochs(EpochCheckpoint(tmp_path, monitor=None))
    assert {path.name for path in tmp_path.iterdir()} == {"last.keras", "log.csv"}


def test_a_loss_that_is_not_finite_ends_the_run_and_saves_nothing(tmp_path):
    saver = EpochCheckpoint(tmp_path, monitor=None)
    with pytest.raises(RuntimeError, match=r"The loss of epoch 1 is nan"):
        fit_two_epochs(saver, y=float("nan"))
    assert list(tmp_path.iterdir()) == []


@on_pytorch
def test_a_validation_that_is_not_finite_saves_nothing_either(tmp_path):
    saver = EpochCheckpoint(tmp_path, monitor=None)
    bad = np.ones((4, 2), "float32"), np.full((4, 1), np.nan)
    with pytest.raises(RuntimeError, match=r"The val_loss of epoch 1 is nan"):
        fit_two_epochs(saver, validation_data=bad)
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    """After a step that is far too large, the loss that was taken before it looks well."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(1e38), "mse")
    x, y = np.ones((4, 2), "float32"), np.full((4, 1), 100.0)
    saver = EpochCheckpoint(tmp_path, monitor=None, every_steps=1)
    with pytest.raises(RuntimeError, match=r"dense.* is not finite after step 1 of epoch 1, so"):
        model.fit(x, y, batch_size=1, epochs=1, verbose=0, callbacks=[saver])
    assert list(tmp_path.iterdir()) == []


@on_pytorch
@pytest.mark.parametrize("year", [1970, 2108])
def test_a_clock_of_other_times_is_named_and_the_state_stays(tmp_path, monkeypatch, year):
    now = time.struct_time((year, 1, 1, 0, 0, 0, 0, 1, 0))
    monkeypatch.setattr(epoch_checkpoint.time, "localtime", lambda *_: now)
    with pytest.raises(OSError, match=f"clock shows the year {year}, which must be from 1980"):
        fit_two_epochs(EpochCheckpoint(tmp_path, monitor=None))
    assert list(tmp_path.iterdir()) == []


@on_pytorch
def test_a_disk_that_is_full_at_the_log_names_it(tmp_path, monkeypatch):
    def full(path, rows):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_files, "write_log", full)
    sentence = (
        r"log\.csv cannot be written \(No space left .*last\.keras contains the state after epoch 1"
    )
    with pytest.raises(OSError, match=sentence):
        fit_two_epochs(EpochCheckpoint(tmp_path, monitor=None))
    assert load_last(tmp_path)[1].epochs == 1


@on_pytorch
def test_unknown_monitor_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"`monitor` must be one of .*'loss'.* but is 'accuracy'"):
        fit_two_epochs(EpochCheckpoint(tmp_path, monitor="accuracy"))


@on_pytorch
def test_unknown_mode_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"`mode` must be 'max' or 'min', but is 'auto'"):
        EpochCheckpoint(tmp_path, mode="auto")


@on_pytorch
def test_a_run_is_not_overwritten_by_a_new_one(tmp_path):
    fit_two_epochs(EpochCheckpoint(tmp_path, monitor="loss"))
    before = (tmp_path / "last.keras").read_bytes()
    with pytest.raises(
        ValueError, match=r"`progress` must be the one that `load_last\(\)` returns"
    ):
        fit_two_epochs(EpochCheckpoint(tmp_path, monitor="loss"))
    assert (tmp_path / "last.keras").read_bytes() == before


@on_pytorch
def test_a_run_goes_on_at_its_own_epoch(tmp_path):
    fit_two_epochs(EpochCheckpoint(tmp_path, monitor="loss"))
    _, progress = load_last(tmp_path)
    with pytest.raises(ValueError, match=r"`initial_epoch` of `fit\(\)` must be 2, .* but is 1\."):
        fit_two_epochs(EpochCheckpoint(tmp_path, progress, monitor="loss"), initial_epoch=1)
