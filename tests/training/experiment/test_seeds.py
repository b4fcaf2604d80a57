"""Experiments of several seeds in one program, in the folders of runs."""

import keras
import pytest

from keras_dla.training import load_last, read_result
from keras_dla.training.experiment import data as experiment_data
from keras_dla.training.experiment import run as experiment_run
from keras_dla.training.experiment.seeds import run_seeds
from tests.training.experiments import arrays, small, smallest

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="only JAX turns one run's program into that of many"
)
EXPERIMENTS = [small(seed=seed) for seed in (0, 3)]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(experiment_data, "load_cifar_arrays", arrays)
    monkeypatch.setattr(experiment_run, "get_model", smallest)


@pytest.fixture
def folders(tmp_path):
    return [tmp_path / "first", tmp_path / "second"]


def without_seconds(folder):
    return [{**row, "seconds": None} for row in read_result(folder).history]


def test_goes_on_and_ends_as_one_that_nothing_stopped(folders, tmp_path):
    def stop(rows):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_seeds(EXPERIMENTS, folders, on_epoch=stop)
    assert [len(read_result(folder).history) for folder in folders] == [1, 1]
    results = run_seeds(EXPERIMENTS, folders)
    assert [result.experiment for result in results] == [e.resolved() for e in EXPERIMENTS]
    assert all(result.is_finished for result in results)
    assert not (folders[0] / "at-once").exists()
    whole = [tmp_path / "third", tmp_path / "fourth"]
    run_seeds(EXPERIMENTS, whole)
    for folder, expected in zip(folders, whole, strict=True):
        assert without_seconds(folder) == without_seconds(expected)
        model = keras.saving.load_model(folder / "model.keras")
        assert model.optimizer.iterations == 8
    assert load_last(folders[0]) is None


def test_what_does_not_go_together_is_refused(folders):
    with pytest.raises(ValueError, match="`experiments` must differ only in their seed, but 'c"):
        run_seeds([small(), small(seed=1, momentum=0.5)], folders)
    assert not folders[0].exists()
    folders[1].mkdir()
    (folders[1] / "thesis.tex").write_text("chapter 1")
    with pytest.raises(FileExistsError, match="contains files that do not belong to a run"):
        run_seeds(EXPERIMENTS, folders)
    assert not folders[0].exists()
