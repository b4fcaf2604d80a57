"""From the description of a run to its folder, on a few random images."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import namedtuple
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_dla.models import get_model
from keras_dla.training import (
    DivergenceError,
    is_finished,
    load_last,
    open_run,
    prepare_experiment,
    read_experiment,
    read_result,
    run_experiment,
)
from keras_dla.training.experiment import data as experiment_data
from keras_dla.training.experiment import run as experiment_run
from keras_dla.training.experiment.result import settings_of
from keras_dla.training.run_folder.disk_space import checkpoint_bytes
from tests.backends import on_pytorch
from tests.training.experiments import Act, arrays, small, smallest, two_layers

ROOT = Path(__file__).resolve().parents[3]
QUIET = {"verbose": 0}


@pytest.fixture(autouse=True, scope="module")
def quick():
    """A few images, and a network that compiles quickly."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment_data, "load_cifar_arrays", arrays)
        patch.setattr(experiment_run, "get_model", two_layers)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run that nothing stopped."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    run_experiment(small(), folder, **QUIET)
    return folder


def weights_of(folder):
    model, _ = load_last(folder)
    variables = [v for v in model.variables + model.optimizer.variables if "metric" not in v.path]
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


def without_seconds(folder):
    return [{**row, "seconds": None} for row in read_result(folder).history]


def test_the_folder_says_everything(whole):
    assert read_experiment(whole / "settings.json") == small().resolved()
    (versions,) = json.loads((whole / "versions.json").read_text())
    assert versions["epochs_before"] == 0
    assert versions["keras"] == keras.__version__
    assert {keras.backend.backend(), "keras_dla", "python", "numpy"} <= versions.keys()
    assert {path.name for path in whole.iterdir()} - {"tensorboard"} == {
        "settings.json", "versions.json", "run.lock", "log.csv", "last.keras", "best.keras",
    }  # fmt: skip
    names = {"epoch", "learning_rate", "loss", "accuracy", "val_accuracy", "val_loss"}
    assert names <= read_result(whole).history[0].keys()


def test_what_is_done_is_not_done_again(whole, monkeypatch):
    monkeypatch.setattr(experiment_data, "load_cifar_arrays", None)
    before = {path: path.stat().st_mtime_ns for path in whole.iterdir()}
    result = run_experiment(small(), whole)
    assert result.is_finished
    assert len(result.history) == 2
    assert {path: path.stat().st_mtime_ns for path in whole.iterdir()} == before


@on_pytorch  # The others resume in `test_resume_inside.py` and `test_train_cifar.py`.
@pytest.mark.skipif(os.name != "posix", reason="a kill that cannot be caught is POSIX's")
def test_killed_and_gone_on_with_is_the_same_bit_for_bit(whole, tmp_path):
    """Data order, crops, drop path, optimizer and running means included."""
    folder, epoch, step = tmp_path / "run", 1, 2
    command = [sys.executable, "-m", "tests.training.experiments", folder, str(epoch), str(step)]
    done = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
    _, progress = load_last(folder)
    assert (progress.epochs, progress.steps) == (epoch, step)
    run_experiment(small(), folder, **QUIET)
    assert without_seconds(folder) == without_seconds(whole)
    for array, expected in zip(weights_of(folder), weights_of(whole), strict=True):
        np.testing.assert_array_equal(array, expected)


def test_another_experiments_folder_is_refused(whole):
    with pytest.raises(ValueError, match="contains another experiment: seed is 0 there and 1 here"):
        run_experiment(small(seed=1), whole)
    with pytest.raises(FileExistsError, match="already contains a run"):
        run_experiment(small(), whole, resume=False)
    with pytest.raises(ValueError, match="another experiment"):
        is_finished(small(seed=1), whole)


def refused(folder, error, sentence, **changed):
    """Nothing is written, and no data is loaded."""
    with pytest.raises(error, match=sentence):
        prepare_experiment(small(**changed), folder)
    assert not folder.exists()


def test_a_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("text")
    refused(tmp_path / "file" / "run", OSError, r"run cannot be written to \(Not a directory\)")

    def deny(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", deny)
    sentence = r"^.*run cannot be written to \(Permission denied\)\.$"
    refused(tmp_path / "run", PermissionError, sentence)


def test_a_disk_without_room(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(2e9, 2e9, 1e5))
    sentence = r"^.*run needs [\d.]+ MB for checkpoints, but its disk has 0\.1 MB left\.$"
    refused(tmp_path / "run", OSError, sentence)


def test_the_estimate_of_a_checkpoint_is_about_its_size(whole):
    model, _ = load_last(whole)
    size = (whole / "last.keras").stat().st_size
    # In so small a network the files' own words count as much as the numbers.
    assert 0.3 * size < checkpoint_bytes(model) < 1.1 * size


def test_errors_of_the_network_come_before_the_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment_run, "get_model", get_model)
    refused(tmp_path / "run", ValueError, "`name` must be one of", model="dla_x_20")
    for name, value in (("unit", "dsu"), ("formulation", "paper"), ("drop_path", 0.1)):
        sentence = f"`{name}` must not be given for 'se'"
        refused(tmp_path / "run", ValueError, sentence, model="se_11", **{name: value})


def test_a_run_of_before_goes_on_with_an_option_that_it_never_used(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment_run, "get_model", get_model)
    old = small(model="se_11", drop_path=0.5, formulation="paper")
    open_run(tmp_path / "run", settings_of(old))
    assert prepare_experiment(old, tmp_path / "run").experiment == old.resolved()


@pytest.fixture
def any_network(monkeypatch):
    monkeypatch.setattr(experiment_run, "get_model", smallest)


@pytest.mark.usefixtures("any_network")
def test_divergence_says_where(tmp_path):
    # A step's loss is taken before the step moves the weights, so either may be seen first.
    what = r"^(The loss is \w+ at|\S+ is not finite after) step \d of epoch 1, so "
    with pytest.raises(DivergenceError, match=what):
        run_experiment(small(learning_rate=1e30), tmp_path / "run", checkpoint_steps=1, **QUIET)


@pytest.mark.usefixtures("any_network")
def test_the_policy_is_the_runs_alone(tmp_path):
    before = keras.config.dtype_policy()
    seen = []
    act = Act(0, 0, lambda: seen.append(keras.config.dtype_policy().name))
    experiment = small(precision="mixed_bfloat16", epochs=1, steps_per_epoch=1)
    run_experiment(experiment, tmp_path / "run", callbacks=[act], **QUIET)
    assert seen == ["mixed_bfloat16"]
    assert keras.config.dtype_policy() == before


@pytest.mark.usefixtures("any_network")
def test_other_versions_are_noted(tmp_path, monkeypatch):
    experiment = small(steps_per_epoch=1)
    stop = Act(1, 0, lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        run_experiment(experiment, tmp_path / "run", callbacks=[stop], **QUIET)
    monkeypatch.setattr(keras, "__version__", "99.0")
    run_experiment(experiment, tmp_path / "run", **QUIET)
    first, second = json.loads((tmp_path / "run" / "versions.json").read_text())
    assert first["keras"] != "99.0"
    assert (second["keras"], second["epochs_before"]) == ("99.0", 1)
