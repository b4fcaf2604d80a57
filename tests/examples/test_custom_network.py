"""Layer attention in a network of one's own."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np

from keras_dla.layers import DynamicLayerAttention
from tests.backends import on_pytorch

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "custom_network.py"


@on_pytorch
def test_trains_saves_and_loads(tmp_path):
    done = subprocess.run(
        [sys.executable, SCRIPT, "--epochs", "1", "--output", tmp_path],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    difference = done.stdout.split("predictions differ by ")[1].split()[0]
    assert float(difference) < 1e-6
    # 40 steps are fewer than BN needs, and a newcomer who sees 33 % is told so.
    assert "note: 40 training steps are fewer than the 100" in done.stdout
    assert "light_stage" in done.stdout and "base_stage" in done.stdout

    (path,) = tmp_path.iterdir()
    model = keras.saving.load_model(path)
    channels_last = keras.config.image_data_format() == "channels_last"
    images = np.zeros((2, 32, 32, 3) if channels_last else (2, 3, 32, 32), "float32")
    assert model(images).shape == (2, 3)
    # One layer of attention a stage, however often it is called.
    stages = [layer for layer in model.layers if isinstance(layer, DynamicLayerAttention)]
    assert [stage.name for stage in stages] == ["light_stage", "base_stage"]
