"""The steps in CONTRIBUTING.md by which a layer of one's own is trained by name."""

import json
import os
import re
import subprocess
import sys

from tests.backends import on_pytorch
from tests.docs.pages import ROOT

TRIAL = ("--data", "memory", "--epochs", "1", "--steps-per-epoch", "1", "--batch-size", "4")
# `keras-dla` on a few random images in place of CIFAR.
PROGRAM = """
import sys
from keras_dla.cli import main
from keras_dla.training.experiment import data
from tests.training.experiments import arrays

data.load_cifar_arrays = arrays
sys.exit(main())
"""
LOAD = """
import running_mean
import keras_dla

model = keras_dla.models.get_model("running_mean_11", classes=10)
loaded = keras_dla.load_model("run/best.keras")
assert type(loaded.get_layer("stage1_interaction")) is running_mean.RunningMean
assert loaded.count_params() == model.count_params()
"""


def python(folder, code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), "."])},
        capture_output=True,
        text=True,
        timeout=300,
    )


@on_pytorch
def test_a_layer_of_ones_own_is_trained_by_name(tmp_path):
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    section = text.partition("## Training a layer of your own by name")[2]
    code = re.search(r"   ```python\n(.*?)   ```", section, re.DOTALL)[1]
    lines = [line[3:] for line in code.splitlines()]
    assert len(lines) < 30
    (tmp_path / "running_mean.py").write_text("\n".join(lines))

    own = ("--import", "running_mean.py")
    listed = python(tmp_path, PROGRAM, "list", *own, "running_mean")
    assert "running_mean_20\n" in listed.stdout, listed.stderr
    model = ("--model", "running_mean_11", "--dataset", "cifar10")
    trained = python(tmp_path, PROGRAM, "train", *own, *model, *TRIAL, "--output", "run")
    assert trained.returncode == 0, trained.stderr
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert settings["model"] == "running_mean_11"
    loaded = python(tmp_path, LOAD)
    assert loaded.returncode == 0, loaded.stderr
