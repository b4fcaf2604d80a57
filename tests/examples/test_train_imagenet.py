"""The training script, on a few made images in ImageNet's format."""

import csv
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_dla.training import load_last
from tests.backends import on_pytorch, thorough
from tests.cli.commands.train_on_devices import with_batch_norm
from tests.data.image_folder import prepare_images

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "examples" / "train_imagenet.py"
ARGUMENTS = ("--image-size", "64", "--batch-size", "2", "--epochs", "1")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    pytest.importorskip("keras_cv")
    sizes = {"train": 6, "validation": 4}
    return prepare_images(tmp_path_factory.mktemp("tensorflow_datasets"), sizes=sizes)


def tiny_model(
    name, classes, input_shape, classifier_activation, drop_path=0.0, formulation="official"
):
    layers = [
        keras.layers.AveragePooling2D(16),
        keras.layers.Flatten(),
        keras.layers.Dropout(drop_path),
        keras.layers.Dense(classes, activation=classifier_activation, name="attention"),
    ]
    return keras.Sequential([keras.Input(input_shape), *layers])


@pytest.fixture
def script(monkeypatch):
    spec = importlib.util.spec_from_file_location("train_imagenet", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    original = module.get_model
    monkeypatch.setattr(
        module,
        "get_model",
        lambda name, **kwargs: (tiny_model if name == "dla_l_50" else original)(name, **kwargs),
    )
    return module


def run(script, data, folder, *arguments):
    places = ("--data-dir", str(data), "--output", str(folder))
    script.main([*ARGUMENTS, *places, *arguments])
    return log_of(folder)


def log_of(folder):
    with (folder / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@on_pytorch
def test_a_network_of_the_paper_trains(script, data, tmp_path, capsys):
    (row,) = run(script, data, tmp_path / "run", "--model", "resnet_50", "--steps-per-epoch", "2")
    assert np.isfinite(float(row["loss"]))
    assert np.isfinite(float(row["val_loss"]))
    assert row["learning_rate"] == "0.1"
    printed = capsys.readouterr().out
    assert "resnet_50: 23,528,522 parameters; 0 epochs done" in printed
    assert f"validation accuracy {float(row['val_accuracy']):.2%}, best" in printed
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert (settings["model"], settings["steps_per_epoch"]) == ("resnet_50", 2)
    assert not settings.keys() & {"devices", "hosts", "host", "sync_batch_norm"}
    names = {path.name for path in (tmp_path / "run").iterdir()} - {"tensorboard", "run.lock"}
    assert names == {"settings.json", "versions.json", "log.csv", "last.keras", "best.keras"}


TINY = ("--model", "dla_l_50", "--epochs", "3")


@on_pytorch
@pytest.mark.parametrize("steps", ["2", "4"])
def test_an_interrupted_run_resumes_to_the_same_end(script, data, tmp_path, monkeypatch, steps):
    """Also where an epoch is shorter or longer than the 3 batches of the images."""
    arguments = (*TINY, "--steps-per-epoch", steps, "--attention-weight-decay", "0.1")
    whole = run(script, data, tmp_path / "whole", *arguments)

    class Interrupted(script.EpochCheckpoint):
        def on_train_batch_begin(self, batch, logs=None):
            super().on_train_batch_begin(batch, logs)
            if self.progress.epochs == 1 and batch == 1:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(SystemExit, match="after 1 epochs"):
        patch.setattr(script, "EpochCheckpoint", Interrupted)
        run(script, data, tmp_path / "run", *arguments)
    assert run(script, data, tmp_path / "run", *arguments, "--resume") == whole
    model, _ = load_last(tmp_path / "run")
    assert model.optimizer.weight_decays["attention"] == 0.1


@thorough  # that of the command line shows it
def test_two_devices_with_synchronised_bn_train_as_one(script, data, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "get_model", with_batch_norm)
    options = ("--epochs", "2", "--steps-per-epoch", "2", "--sync-batch-norm")
    one = run(script, data, tmp_path / "one", *options)
    flags = [os.environ.get("XLA_FLAGS", ""), "--xla_force_host_platform_device_count=2"]
    program = [sys.executable, "-m", "tests.examples.train_imagenet_on_devices", *ARGUMENTS]
    done = subprocess.run(
        [*program, *options, "--devices", "2", "--data-dir", data, "--output", tmp_path / "two"],
        cwd=ROOT,
        env=os.environ | {"XLA_FLAGS": " ".join(flags)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("0 epochs done") == done.stdout.count("validation accuracy") == 1
    for found, expected in zip(log_of(tmp_path / "two"), one, strict=True):
        for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
            assert float(found[name]) == pytest.approx(float(expected[name]), rel=1e-4)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_mixed_precision_is_that_of_the_model(script, data, tmp_path, precision):
    before = keras.config.dtype_policy()
    try:
        rows = run(script, data, tmp_path / "run", *TINY, "--mixed-precision", precision)
    finally:
        keras.config.set_dtype_policy(before)
    assert np.isfinite(float(rows[-1]["loss"]))
    model, _ = load_last(tmp_path / "run")
    assert model.layers[-1].compute_dtype == precision


@on_pytorch
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--model", "dla_x_50"), "`name` must be one of"),
        (("--epochs", "0"), "`epochs` must be an integer of at least 1, but is 0"),
        (("--batch-size", "0"), "`batch_size` must be an integer of at least 1"),
        (("--devices", "3"), "`batch_size` must be divisible by the 3 devices, but is 2"),
        (("--batch-size", "7"), "`batch_size` must be at most 6, the number of images"),
        (("--image-size", "0"), "`image_size` must be an integer of at least 1"),
        (("--steps-per-epoch", "0"), "`steps_per_epoch` must be an integer of at least 1"),
        (("--attention-weight-decay", "-1"), "`attention_weight_decay` must be at least 0"),
        (("--dataset", "food101"), "prepare it with: tfds build food101"),
        (("--data-dir", "nowhere"), "prepare it with: tfds build imagenet2012"),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(script, data, tmp_path, arguments, sentence):
    with pytest.raises(SystemExit, match=f"train_imagenet.py: .*{sentence}"):
        run(script, data, tmp_path / "run", *arguments)
    assert not (tmp_path / "run").exists()


@on_pytorch
def test_a_run_starts_only_where_it_can_end(script, data, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("text")
    with pytest.raises(SystemExit, match=r"run cannot be written to \(Not a directory\)"):
        run(script, data, tmp_path / "file" / "run", *TINY)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(2e9, 2e9, 10))
    with pytest.raises(SystemExit, match=r"run needs [\d.]+ MB for checkpoints, but its disk has"):
        run(script, data, tmp_path / "run", *TINY)
    assert not (tmp_path / "run").exists()


@on_pytorch
def test_images_that_are_left_out_are_not_decoded(script, data):
    """The first batches are those that the rest of the epoch does not have."""
    images = script.Images(script.parse_arguments([*ARGUMENTS, "--data-dir", str(data)]))
    whole, rest = (list(images.train(first).take(4)) for first in (0, 2))
    for batch, expected in zip(rest, whole[2:], strict=False):
        np.testing.assert_array_equal(batch[0], expected[0])


@on_pytorch
def test_the_defaults_are_the_papers(script):
    args = script.parse_arguments([])
    assert (args.model, args.formulation, args.image_size) == ("dla_l_50", "official", 224)
    assert (args.epochs, args.batch_size, args.dataset) == (100, 256, "imagenet2012")
    assert args.output == "runs/imagenet2012-dla_l_50-official-0"
