import dataclasses
import json

import keras
import numpy as np
import pytest

from keras_dla.data import cifar_steps_per_epoch
from keras_dla.training import (
    CIFAR,
    Experiment,
    is_finished,
    open_run,
    read_experiment,
    write_experiment,
)
from keras_dla.training.experiment.result import settings_of
from tests.backends import on_pytorch

pytestmark = on_pytorch

OTHER_BACKEND = "jax" if keras.backend.backend() != "jax" else "torch"


def test_the_defaults_are_the_papers():
    assert Experiment().recipe == CIFAR


def test_resolved_leaves_nothing_open_but_the_unit():
    resolved = Experiment(epochs=90, batch_size=50).resolved()
    assert resolved.milestones == (50, 75)
    assert resolved.steps_per_epoch == 1000 == cifar_steps_per_epoch("train", 50)
    assert resolved.backend == keras.backend.backend()
    assert resolved.data == ("tfds" if resolved.backend == "tensorflow" else "memory")
    assert [name for name, value in dataclasses.asdict(resolved).items() if value is None] == [
        "unit", "attention_weight_decay",
    ]  # fmt: skip
    assert resolved.resolved() == resolved


def test_what_is_given_reaches_the_recipe():
    fields = {"learning_rate": 0.5, "momentum": 0.1, "weight_decay": 0, "drop_path": 0.3}
    fields["attention_weight_decay"] = 0.01
    recipe = Experiment(epochs=9, batch_size=7, milestones=[2, 3], **fields).recipe
    assert {name: getattr(recipe, name) for name in fields} == fields
    assert (recipe.epochs, recipe.batch_size, recipe.milestones) == (9, 7, (2, 3))


def test_names_tell_runs_apart():
    assert Experiment().name == "cifar100-dla_l_20-official-0"
    assert Experiment("dianet_56", "cifar10", "paper", "lstm", 3).name == (
        "cifar10-dianet_56-lstm-paper-3"
    )


def test_another_backends_run_is_refused():
    with pytest.raises(ValueError, match=f"but is '{OTHER_BACKEND}': set KERAS_BACKEND="):
        Experiment(backend=OTHER_BACKEND).resolved()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the others have a store")
def test_tensorflow_keeps_no_images_on_the_device():
    with pytest.raises(ValueError, match="`data` must be 'tfds' or 'memory' with TensorFlow"):
        Experiment(data="device").resolved()


def test_settings_of_before_a_field_was_there_are_the_same_run(tmp_path):
    experiment = Experiment("mrla_l_20", data="memory")
    settings = settings_of(experiment)
    del settings["attention_weight_decay"]
    open_run(tmp_path, settings)
    assert read_experiment(tmp_path / "settings.json") == experiment.resolved()
    assert not is_finished(experiment, tmp_path)  # which refuses other experiments


def test_written_and_read(tmp_path):
    experiment = Experiment("mrla_l_20", seed=5, milestones=(1, 2), epochs=3, learning_rate=0.3)
    write_experiment(experiment, tmp_path / "a.json")
    assert read_experiment(tmp_path / "a.json") == experiment
    changed = read_experiment(tmp_path / "a.json", seed=6, milestones=None)
    assert changed == dataclasses.replace(experiment, seed=6, milestones=None)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"model": 3}, "`model` must be a string, but is 3"),
        ({"dataset": "mnist"}, "`dataset` must be one of 'cifar10', 'cifar100', but is 'mnist'"),
        ({"dataset": ["cifar10"]}, "`dataset` must be a string"),
        ({"formulation": "own"}, "`formulation` must be one of"),
        ({"precision": "float16"}, "`precision` must be one of 'float32', 'mixed_float16'"),
        ({"data": "disk"}, "`data` must be one of 'memory', 'device', 'tfds', None, but is 'disk'"),
        ({"unit": 1}, "`unit` must be a string or None, but is 1"),
        ({"seed": -1}, "`seed` must be an integer from 0 to 4294967295, but is -1"),
        ({"seed": True}, "`seed` must be an integer"),
        ({"epochs": 0}, "`epochs` must be an integer of at least 1, but is 0"),
        ({"epochs": "3"}, "`epochs` must be an integer of at least 1, but is '3'"),
        ({"steps_per_epoch": 0}, "`steps_per_epoch` must be an integer of at least 1"),
        ({"learning_rate": "0.1"}, "`learning_rate` must be a finite number, but is '0.1'"),
        ({"learning_rate": float("inf")}, "`learning_rate` must be a finite number, but is inf"),
        ({"learning_rate": 0}, "`learning_rate` must be positive, but is 0"),
        ({"momentum": 1}, "`momentum` must be at least 0 and less than 1, but is 1"),
        ({"milestones": 3}, "`milestones` must be a list of integers, but is 3"),
        ({"milestones": ["3"]}, r"`milestones` must be a list of integers, but is \['3'\]"),
        ({"attention_weight_decay": "1"}, "`attention_weight_decay` must be a finite number"),
        ({"attention_weight_decay": -1}, "`attention_weight_decay` must be at least 0, but is -1"),
        ({"milestones": [3, 2]}, "`milestones` must be in ascending order"),
    ],
)
def test_bad_values_are_named(tmp_path, changed, sentence):
    with pytest.raises(ValueError, match=sentence):
        Experiment(**changed)
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(changed))
    with pytest.raises(ValueError, match=rf"bad\.json: {sentence}"):
        read_experiment(path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"model": ', "must be the JSON file of an experiment"),
        ("[" * 100_000, "must be the JSON file of an experiment"),
        ("[]", "must contain one JSON object, but contains a list"),
        ('{"lr": 0.1}', "must only have the entries model, dataset, .*, but has 'lr'"),
        (" " * 1_000_001, "it is too large for a file of settings"),
    ],
)
def test_other_files_are_refused(tmp_path, text, sentence):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=sentence):
        read_experiment(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no file .*fly\.json"):
        read_experiment(tmp_path / "fly.json")


def test_integers_of_numpy_can_be_written(tmp_path):
    numbers = {"epochs": 3, "batch_size": 4, "steps_per_epoch": 2, "seed": 1}
    experiment = Experiment(
        milestones=tuple(np.array([1, 2])), **{k: np.int64(v) for k, v in numbers.items()}
    )
    write_experiment(experiment, tmp_path / "mine.json")
    assert read_experiment(tmp_path / "mine.json") == Experiment(milestones=(1, 2), **numbers)
