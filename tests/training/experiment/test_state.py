"""A run's folder in which something is missing, damaged, or of another run."""

import shutil

import keras
import pytest

from keras_dla.training import is_finished, load_last, read_result, run_experiment
from keras_dla.training.experiment import data as experiment_data
from keras_dla.training.experiment import run as experiment_run
from tests.training.experiments import arrays, small, smallest

FILES = ("settings.json", "versions.json", "log.csv", "last.keras", "best.keras")


@pytest.fixture(autouse=True, scope="module")
def quick():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment_data, "load_cifar_arrays", arrays)
        patch.setattr(experiment_run, "get_model", smallest)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    run_experiment(small(), folder, verbose=0)
    return folder


@pytest.fixture
def run(whole, tmp_path):
    """A copy of a finished run."""
    folder = tmp_path / "run"
    folder.mkdir()
    for name in FILES:
        shutil.copy(whole / name, folder)
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize(
    "log", ["", "no table", "epoch,val_accuracy\n1,0.5\n", "epoch,val_accuracy\n7,0.5\n", None]
)
def test_a_log_is_made_again_from_the_state(run, whole, log):
    (run / "log.csv").unlink() if log is None else (run / "log.csv").write_text(log)
    assert is_finished(small(), run)
    result = run_experiment(small(), run, verbose=0)
    assert result.history == read_result(whole).history
    assert (run / "log.csv").read_bytes() == (whole / "log.csv").read_bytes()


def test_rows_alone_do_not_make_a_run_a_finished_one(run):
    (run / "last.keras").unlink()
    (run / "best.keras").unlink()
    assert not is_finished(small(), run)
    with pytest.raises(
        ValueError, match=r"has a log\.csv but no last\.keras to continue from: restore that "
    ):
        run_experiment(small(), run, verbose=0)


@pytest.mark.parametrize("content", [None, b"", b"PK\3\4 cut"])
def test_a_missing_best_model_is_made_again_or_said_to_be_lost(run, content):
    _, progress = load_last(run)
    scores = [row["val_accuracy"] for row in progress.history]
    (run / "best.keras").unlink()
    if content is not None:
        (run / "best.keras").write_bytes(content)
    if scores[-1] > max(scores[:-1]):
        run_experiment(small(), run, verbose=0)
        assert (run / "best.keras").read_bytes() == (run / "last.keras").read_bytes()
    else:
        with pytest.warns(
            UserWarning, match=r"best\.keras, the model after epoch 1, is missing or damaged"
        ):
            run_experiment(small(), run, verbose=0)


def put_other_state(run, tmp_path, other):
    run_experiment(other, tmp_path / "other", verbose=0)
    shutil.copy(tmp_path / "other" / "last.keras", run)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"learning_rate": 0.2},
            r"belongs to another recipe: .*learning_rate is 0\.2 there and 0\.1 here",
        ),
        ({"epochs": 3}, "must have at most the 2 epochs of the experiment, but has 3"),
    ],
)
def test_a_state_of_another_run_is_refused(run, tmp_path, changes, sentence):
    put_other_state(run, tmp_path, small(steps_per_epoch=1, milestones=(1,), **changes))
    experiment = small(steps_per_epoch=1, milestones=(1,))
    settings = (tmp_path / "other" / "settings.json").read_text()
    for name, value in changes.items():
        settings = settings.replace(f'"{name}": {value}', f'"{name}": {getattr(experiment, name)}')
    (run / "settings.json").write_text(settings)
    before = contents(run)
    with pytest.raises(ValueError, match=sentence):
        experiment_run.prepare_experiment(experiment, run)
    assert {**contents(run), "run.lock": b""} == {**before, "run.lock": b""}


def test_a_state_of_another_network_is_refused(run, monkeypatch):
    def other(name, classes, input_shape, **_):
        layers = [keras.layers.Flatten(), keras.layers.Dense(2), keras.layers.Dense(classes)]
        return keras.Sequential([keras.Input(input_shape), *layers])

    monkeypatch.setattr(experiment_run, "get_model", other)
    with pytest.raises(
        ValueError, match=r"must contain the network 'dla_l_11', but contains another"
    ):
        experiment_run.prepare_experiment(small(), run)
