"""The training script, on a few random images in place of CIFAR."""

import csv
import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_dla.training import load_last
from keras_dla.training.experiment import data as experiment_data
from keras_dla.training.experiment import run as experiment_run
from tests.backends import on_pytorch

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "train_cifar.py"
ARGUMENTS = ("--data", "memory", "--model", "dla_l_11", "--batch-size", "8", "--epochs", "4")


def arrays(name, data_dir=None):
    generator = np.random.default_rng(0)
    classes = {"cifar10": 10, "cifar100": 100}[name]
    images = generator.integers(0, 256, (24, 32, 32, 3)).astype("uint8")
    labels = generator.integers(0, classes, 24)
    return (images, labels), (images[:8], labels[:8])


def tiny_model(
    name, classes, input_shape, classifier_activation, drop_path=0.0, formulation="official"
):
    layers = [
        keras.layers.AveragePooling2D(8),
        keras.layers.Flatten(),
        keras.layers.Dropout(drop_path),
        keras.layers.Dense(classes, activation=classifier_activation),
    ]
    return keras.Sequential([keras.Input(input_shape), *layers])


def load_script():
    spec = importlib.util.spec_from_file_location("train_cifar", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def script(monkeypatch):
    module = load_script()
    monkeypatch.setattr(experiment_data, "load_cifar_arrays", arrays)
    original = experiment_run.get_model
    monkeypatch.setattr(
        experiment_run,
        "get_model",
        lambda name, **kwargs: (tiny_model if name == "dla_l_11" else original)(name, **kwargs),
    )
    return module


def run(script, folder, *arguments, steps=3):
    script.main([*ARGUMENTS, "--output", str(folder), "--steps-per-epoch", str(steps), *arguments])
    return log_of(folder)


def log_of(folder):
    with (folder / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def test_a_network_of_the_paper_trains(script, tmp_path, capsys):
    arguments = ("--model", "resnet_11", "--dataset", "cifar10", "--epochs", "1")
    (row,) = run(script, tmp_path / "run", *arguments, steps=2)
    assert np.isfinite(float(row["loss"]))
    assert row["learning_rate"] == "0.1"
    printed = capsys.readouterr().out
    assert "resnet_11: 127,642 parameters" in printed
    assert f"test accuracy {float(row['val_accuracy']):.2%}, best" in printed


@on_pytorch
def test_leaves_the_files_of_a_run(script, tmp_path):
    run(script, tmp_path / "run")
    names = {path.name for path in (tmp_path / "run").iterdir()}
    names -= {"tensorboard", "run.lock"}  # where there are such
    assert names == {"settings.json", "versions.json", "log.csv", "last.keras", "best.keras"}
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert settings["model"] == "dla_l_11"
    assert settings["backend"] == keras.backend.backend()
    assert settings["steps_per_epoch"] == 3


@on_pytorch
def test_same_seed_same_run(script, tmp_path):
    first = run(script, tmp_path / "first", "--seed", "3")
    assert run(script, tmp_path / "second", "--seed", "3") == first
    assert run(script, tmp_path / "third", "--seed", "4") != first


def test_an_interrupted_run_resumes_to_the_same_end(script, tmp_path, monkeypatch):
    """Where an epoch is shorter than the 3 batches of the images; other tests have longer ones."""
    steps = 2
    whole = run(script, tmp_path / "whole", steps=steps)

    class Interrupted(experiment_run.EpochCheckpoint):
        def on_train_batch_begin(self, batch, logs=None):
            super().on_train_batch_begin(batch, logs)
            if self.progress.epochs == 2 and batch == 1:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(SystemExit, match="after 2 epochs"):
        patch.setattr(experiment_run, "EpochCheckpoint", Interrupted)
        run(script, tmp_path / "run", steps=steps)
    assert log_of(tmp_path / "run") == whole[:2]
    assert run(script, tmp_path / "run", "--resume", steps=steps) == whole
    assert run(script, tmp_path / "run", "--resume", steps=steps) == whole


@on_pytorch
def test_a_run_is_not_overwritten(script, tmp_path):
    run(script, tmp_path / "run")
    before = (tmp_path / "run" / "last.keras").read_bytes()
    with pytest.raises(SystemExit, match="already contains a run: resume it, or choose another"):
        run(script, tmp_path / "run")
    with pytest.raises(SystemExit, match="another experiment: seed is 0 there and 1 here"):
        run(script, tmp_path / "run", "--resume", "--seed", "1")
    assert (tmp_path / "run" / "last.keras").read_bytes() == before


@on_pytorch
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--model", "dla_x_20"), "`name` must be one of"),
        (("--epochs", "0"), "`epochs` must be an integer of at least 1, but is 0"),
        (("--batch-size", "0"), "`batch_size` must be an integer of at least 1, but is 0"),
        (("--steps-per-epoch", "0"), "`steps_per_epoch` must be an integer of at least 1"),
        (("--seed", "-1"), "`seed` must be an integer from 0 to 4294967295, but is -1"),
        (("--data", "tfds", "--data-dir", "missing"), "missing"),
        (("--devices", "3"), "`batch_size` must be divisible by the 3 devices, but is 8"),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(script, tmp_path, arguments, sentence):
    if "tfds" in arguments:
        pytest.importorskip("tensorflow_datasets")
    with pytest.raises(SystemExit, match=sentence):
        run(script, tmp_path / "run", *arguments)
    assert not (tmp_path / "run").exists()


@on_pytorch
def test_mixed_precision_is_that_of_the_model(script, tmp_path):
    precision = "float16"
    before = keras.config.dtype_policy()
    try:
        rows = run(script, tmp_path / "run", "--mixed-precision", precision)
    finally:
        keras.config.set_dtype_policy(before)
    assert np.isfinite(float(rows[-1]["loss"]))
    model, _ = load_last(tmp_path / "run")
    assert int(model.optimizer.iterations) == len(rows) * 3
    assert model.layers[-1].compute_dtype == precision
    assert model.layers[-1].variable_dtype == "float32"


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the others read arrays")
@pytest.mark.skipif(os.name != "posix", reason="a kill that cannot be caught is POSIX's")
def test_killed_on_tf_data_and_gone_on_with_is_the_same_bit_for_bit(script, tmp_path, monkeypatch):
    pytest.importorskip("tensorflow_datasets")
    pytest.importorskip("keras_cv")
    # An epoch of 3 steps ends within a pass of 2 batches; ImageNet's test has whole passes.
    data, options = tmp_path / "data", ("--epochs", "2", "--dataset", "cifar10")
    prepare_cifar(data, *arrays("cifar10"))
    options = (*options, "--data", "tfds", "--data-dir", str(data))
    whole = run(script, tmp_path / "whole", *options)
    code = "from tests.examples.test_train_cifar import kill; import sys; kill(*sys.argv[1:])"
    command = [sys.executable, "-c", code, tmp_path / "run", *options]
    killed = subprocess.run(command, cwd=SCRIPT.parents[1], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    _, progress = load_last(tmp_path / "run")
    assert (progress.epochs, progress.steps) == (1, 2)
    assert run(script, tmp_path / "run", *options, "--resume") == whole
    states = [load_last(tmp_path / name)[0].get_weights() for name in ("run", "whole")]
    for array, expected in zip(*states, strict=True):
        np.testing.assert_array_equal(array, expected)


def prepare_cifar(folder, *splits):
    tf, tfds = (importlib.import_module(name) for name in ("tensorflow", "tensorflow_datasets"))
    images, labels = (
        tfds.features.Image(shape=(32, 32, 3)),
        tfds.features.ClassLabel(num_classes=10),
    )
    tfds.dataset_builders.store_as_tfds_dataset(
        name="cifar10",
        version="3.0.2",
        features=tfds.features.FeaturesDict({"image": images, "label": labels}),
        split_datasets={
            name: tf.data.Dataset.from_tensor_slices(
                dict(zip(("image", "label"), split, strict=True))
            )
            for name, split in zip(("train", "test"), splits, strict=True)
        },
        data_dir=folder,
        disable_shuffling=True,
    )


def kill(folder, *options):
    """What the test above starts: a run that is killed before the third step of epoch 2."""

    class Killed(experiment_run.EpochCheckpoint):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **{**options, "every_steps": 1})

        def on_train_batch_begin(self, batch, logs=None):
            super().on_train_batch_begin(batch, logs)
            if (self.progress.epochs, batch) == (1, 2):
                os.kill(os.getpid(), signal.SIGKILL)

    experiment_run.EpochCheckpoint = Killed
    experiment_run.get_model = tiny_model
    run(load_script(), Path(folder), *options)


@on_pytorch
def test_a_full_disk_is_one_sentence(script, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(experiment_run.EpochCheckpoint, "on_epoch_end", fail)
    with pytest.raises(SystemExit, match=r"^train_cifar\.py: .*No space left on device$"):
        run(script, tmp_path / "run")


@on_pytorch
def test_the_defaults_are_the_papers(script):
    experiment = script.experiment_of(script.parse_arguments([])).resolved()
    assert (experiment.model, experiment.formulation) == ("dla_l_20", "official")
    assert (experiment.epochs, experiment.batch_size) == (180, 128)
    assert experiment.name == "cifar100-dla_l_20-official-0"
    assert experiment.data == ("tfds" if keras.backend.backend() == "tensorflow" else "memory")
