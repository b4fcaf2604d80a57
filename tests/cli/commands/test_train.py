"""Training from the command line, on a few random images in place of CIFAR."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from keras_dla.cli import main
from keras_dla.cli.commands.train import FIELDS
from keras_dla.training import read_result
from keras_dla.training.experiment import data as experiment_data
from keras_dla.training.experiment import experiment as experiments
from keras_dla.training.experiment import run as experiment_run
from tests.backends import on_pytorch
from tests.cli.commands.train_on_devices import with_batch_norm
from tests.training.experiments import arrays, smallest

ROOT = Path(__file__).resolve().parents[3]

TRIAL = ("--data", "memory", "--epochs", "2", "--steps-per-epoch", "2", "--batch-size", "4")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Gives every name the same network, as small as can be."""
    monkeypatch.setattr(experiment_run, "get_model", smallest)
    monkeypatch.setattr(experiment_data, "load_cifar_arrays", arrays)


def train(capsys, *arguments):
    assert main(["train", *map(str, arguments), *TRIAL]) == 0
    return capsys.readouterr()


def test_one_run(tmp_path, capsys):
    folder = tmp_path / "run"
    options = ("--model", "resnet_20", "--dataset", "cifar10", "--seed", "3")
    printed = train(capsys, *options, "--output", folder)
    result = read_result(folder)
    assert result.is_finished
    assert (result.experiment.model, result.experiment.dataset) == ("resnet_20", "cifar10")
    assert (result.experiment.seed, result.experiment.steps_per_epoch) == (3, 2)
    row = printed.out.splitlines()[2]
    assert row.split()[:3] == ["ResNet-20", "cifar10", "official"]
    assert " batch_size 4, 2 steps per epoch, 2 epochs     1  " in row
    assert f" {100 * result.accuracy:.2f} " in row
    assert row.endswith(" 91.64 ± 0.18")
    assert "Epoch 2/2" in printed.err
    assert "Epoch" not in printed.out


def test_what_is_done_is_not_done_again(tmp_path, capsys, monkeypatch):
    first = train(capsys, "--output", tmp_path / "run")
    monkeypatch.setattr(experiment_data, "load_cifar_arrays", None)
    second = train(capsys, "--output", tmp_path / "run")
    assert second.out == first.out
    assert second.err == "Looking for finished runs ...\n1 of 1 runs are done.\n"


def test_the_recipe(tmp_path, capsys):
    options = ("--milestones", 1, 1, "--attention-weight-decay", 0.5, "--output", tmp_path / "run")
    printed = train(capsys, *options)
    made = read_result(tmp_path / "run").experiment
    assert (made.milestones, made.attention_weight_decay) == ((1, 1), 0.5)
    assert " milestones (1, 1), attention_weight_decay 0.5, 2 steps " in printed.out


def test_a_file_with_changes(tmp_path, capsys):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"model": "se_20", "dataset": "cifar10", "momentum": 0.5}))
    train(capsys, path, "--seed", 7, "--output", tmp_path / "run")
    made = read_result(tmp_path / "run").experiment
    assert (made.model, made.dataset, made.momentum, made.seed) == ("se_20", "cifar10", 0.5, 7)


@on_pytorch
def test_a_part_of_a_table(tmp_path, capsys):
    options = ("--table", 1, "--rows", "dla_l_20", "resnet_20", "--dataset", "cifar10")
    others = ("--seeds", 2, "--formulation", "paper")  # which the plain network has none of
    printed = train(capsys, *options, *others, "--output", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "cifar10-dla_l_20-paper-0",
        "cifar10-dla_l_20-paper-1",
        "cifar10-resnet_20-official-0",
        "cifar10-resnet_20-official-1",
    ]
    lines = printed.out.splitlines()[2:4]
    assert [line.split()[0] for line in lines] == ["ResNet-20", "DLA-L-20"]
    assert [line.count("±") for line in lines] == [3, 3]
    assert lines[1].endswith("92.96 ± 0.18")


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="only JAX trains seeds at once")
def test_the_seeds_of_a_row_at_once(tmp_path, capsys):
    options = ("--table", 1, "--rows", "resnet_20", "--dataset", "cifar10", "--seeds", 2)
    train(capsys, *options, "--output", tmp_path / "alone")
    printed = train(
        capsys, *options, "--output", tmp_path / "both", "--at-once", "--data", "device"
    )
    assert printed.err.splitlines()[1] == "Row 1 of 1: resnet_20, seeds 0, 1 ..."
    for seed in range(2):
        name = f"cifar10-resnet_20-official-{seed}"
        files = {path.name for path in (tmp_path / "both" / name).iterdir()} - {"run.lock"}
        assert files == {"settings.json", "versions.json", "log.csv", "model.keras"}
        histories = [read_result(tmp_path / kind / name).history for kind in ("both", "alone")]
        for found, expected in zip(*histories, strict=True):
            assert found | {"seconds": 0} == pytest.approx(expected | {"seconds": 0}, rel=1e-4)
    again = train(capsys, *options, "--output", tmp_path / "both", "--at-once", "--data", "device")
    assert again.out == printed.out
    assert again.err == "Looking for finished runs ...\n2 of 2 runs are done.\n"


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX can")
def test_at_once_needs_jax(fails):
    assert fails("train", "--table", "1", "--at-once").startswith("`--at-once` needs the JAX back")


@on_pytorch
def test_units_are_rows_of_their_own(tmp_path, capsys):
    options = ("--table", 4, "--rows", "dla_l_110-lstm", "--seeds", 1, "--output", tmp_path)
    assert "DLA-L-110 (LSTM)" in train(capsys, *options).out
    assert [path.name for path in tmp_path.iterdir()] == ["cifar100-dla_l_110-lstm-official-0"]


@on_pytorch
def test_two_devices_with_synchronised_bn_train_as_one(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(experiment_run, "get_model", with_batch_norm)
    options = ("--dataset", "cifar10", "--sync-batch-norm", "--output")
    train(capsys, *options, tmp_path / "one")
    flags = [os.environ.get("XLA_FLAGS", ""), "--xla_force_host_platform_device_count=2"]
    script = [
        sys.executable,
        "-m",
        "tests.cli.commands.train_on_devices",
        *options,
        tmp_path / "two",
    ]
    done = subprocess.run(
        [*script, "--devices", "2", *TRIAL],
        cwd=ROOT,
        env=os.environ | {"XLA_FLAGS": " ".join(flags)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count(", synchronised BN, 2 steps per epoch") == 1
    assert done.stderr.count("Run 1 of 1") == done.stderr.count("Epoch 2/2") == 1
    one, two = (read_result(tmp_path / name) for name in ("one", "two"))
    assert one.experiment == two.experiment
    for expected, found in zip(one.history, two.history, strict=True):
        for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
            assert found[name] == pytest.approx(expected[name], rel=1e-4)


def test_the_usual_bn_is_no_setting(tmp_path, capsys):
    """So that a run of an earlier version goes on."""
    train(capsys, "--output", tmp_path)
    assert "sync_batch_norm" not in json.loads((tmp_path / "settings.json").read_text())


@on_pytorch
def test_a_divergence_does_not_stop_the_others(tmp_path, capsys):
    options = ("--table", "1", "--rows", "resnet_20", "--dataset", "cifar10", "--seeds", "2")
    options = (*options, "--learning-rate", "1e38", "--output", str(tmp_path))
    assert main(["train", *options, "--checkpoint-steps", "1", *TRIAL]) == 2
    errors = capsys.readouterr().err
    assert errors.count("so training stops here") == 2
    assert errors.endswith("error: 2 of 2 runs diverged; see above.\n")


@on_pytorch
def test_an_interrupt_says_how_to_go_on(tmp_path, capsys, monkeypatch):
    class Interrupted(experiment_run.EpochCheckpoint):
        def on_epoch_begin(self, epoch, logs=None):
            super().on_epoch_begin(epoch, logs)
            if epoch == 1:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(experiment_run, "EpochCheckpoint", Interrupted)
        assert main(["train", *TRIAL, "--output", str(tmp_path / "run")]) == 130
    assert (
        "keras-dla train: stopped after 1 of 2 epochs; the same command continues.\n"
        in capsys.readouterr().err
    )
    train(capsys, "--output", tmp_path / "run")
    assert read_result(tmp_path / "run").is_finished


@on_pytorch
def test_every_folder_is_looked_at_before_the_first_run(tmp_path, fails):
    folder = tmp_path / "cifar10-dla_l_20-official-0"
    folder.mkdir()
    (folder / "thesis.tex").write_text("chapter 1")
    options = ("--table", 1, "--rows", "resnet_20", "dla_l_20", "--output", tmp_path)
    assert "contains files that do not belong to a run" in fails("train", *options)
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


@on_pytorch
def test_the_options_are_fields_of_an_experiment():
    fields = experiments.Experiment.__dataclass_fields__
    assert set(FIELDS) == set(fields) - {"dataset", "backend"}


@on_pytorch
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--epochs", "0"], "`--epochs` must be an integer of at least 1, but is 0."),
        (["fly.json"], "There is no file fly.json."),
        (["--model", "dla_l_50"], "`--model` must be a CIFAR network, with depth 9n + 2 (20, 56"),
        (["--model", "fly_20"], "`--model` must be one of resnet, a2, "),
        (
            ["--milestones", "1", "500", "--epochs", "3"],
            "`--milestones` must be less than the number of epochs (3), but contains 500.",
        ),
        (["--import", "fly.py"], "`--import` must be an existing .py file, but is fly.py."),
        (["--rows", "dla_l_20"], "`--rows` must not be given without `--table`."),
        (["--at-once"], "`--at-once` must not be given without `--table`."),
        (["--table", "1", "--seed", "1"], "`--seed` must not be given with `--table`."),
        (["a.json", "--table", "1"], "FILE must not be given with `--table`."),
        (
            ["--table", "1", "--rows", "nl_20"],
            "`--rows` must be among the rows of Table 1 (resnet_20, ",
        ),
        (["--table", "1", "--seeds", "0"], "`--seeds` must be at least 1, but is 0."),
        (
            ["--table", "4", "--dataset", "cifar10"],
            "`--dataset` must be one that Table 4 has for these rows",
        ),
        (
            ["--table", "5", "--rows", "dla_l_20"],
            "`--rows` must be among the rows of Table 5 (dla_l_56-dsu_identity, dla_l_56-dsu_tanh, "
            "dla_l_56-dsu_relu, dla_l_56, dla_l_110-dsu_identity, ",
        ),
        (["--dataset", "cifar10", "cifar100"], "`--dataset` must be one data set without"),
        (["--checkpoint-steps", "0"], "`--checkpoint-steps` must be at least 1, but is 0."),
        (["--devices", "0"], "`--devices` must be an integer of at least 1, but is 0."),
        (["--devices", "3"], "`--batch-size` must be divisible by the 3 devices, but is 128."),
        (
            ["--devices", "3", "--hosts", "a:1", "b:1"],
            "`--batch-size` must be divisible by the 6 devices, but is 128.",
        ),
        (
            ["--devices", "3", "--batch-size", "129"],
            "`--devices` must divide the 50000 training images, because the last batch is "
            "divided like the others, but there are 3 devices.",
        ),
        (
            ["--hosts", "a:70000"],
            "`--hosts` must have an 'address:port' for every machine, with a port from 1 to 65535",
        ),
        (["--host", "1"], "`--host` must be an integer from 0 to 0, but is 1."),
    ],
)
def test_errors(fails, arguments, sentence):
    assert fails("train", *arguments).startswith(sentence)
