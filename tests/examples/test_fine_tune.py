"""Fine-tuning as a newcomer runs it: on the bundled photographs, and on a folder of one's own."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.backends import on_pytorch

pytest.importorskip("matplotlib")
pytestmark = on_pytorch

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "fine_tune.py"
QUICK = ("--pretrain-epochs", "1", "--frozen-epochs", "0", "--epochs", "0")


def run(folder, *arguments):
    done = subprocess.run(
        [sys.executable, SCRIPT, *map(str, arguments)], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def accuracy(printed, line):
    return next(one.split()[-1] for one in printed.splitlines() if one.startswith(line))


def test_begins_as_the_plain_network_and_learns_from_a_folder(tmp_path):
    image_module = pytest.importorskip("PIL.Image")
    generator = np.random.default_rng(0)
    for label, name in enumerate(("dark", "light")):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(30):
            pixels = generator.integers(100 * label, 100 * label + 100, (40, 36, 3), "uint8")
            image_module.fromarray(pixels).save(tmp_path / "images" / name / f"{number}.png")
    printed = run(tmp_path, "--images", "images", *QUICK)
    plain, before = accuracy(printed, "plain network"), accuracy(printed, "before fine-tuning")
    assert plain == before
    assert {path.name for path in tmp_path.iterdir()} == {
        "images",
        "fine_tune.keras",
        "fine_tune_attention.png",
    }


def test_from_new_weights_nothing_is_frozen(tmp_path, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location("fine_tune", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    trainable = []

    def fit(model, *_):
        trainable.append(all(layer.trainable for layer in model.layers))

    monkeypatch.setattr(script, "fit", fit)
    monkeypatch.setattr(script, "accuracy", lambda *_: 0.0)
    monkeypatch.setattr(script, "attention_scores", lambda *_: None)
    monkeypatch.setattr(script, "plot_attention", lambda *_, **__: None)
    monkeypatch.setattr(
        "sys.argv", ["fine_tune.py", "--start", "nothing", "--output", str(tmp_path)]
    )
    script.main()
    assert trainable == [True, True]  # the plain network, and the whole one
    assert "no frozen epochs, because every weight is new" in capsys.readouterr().out
