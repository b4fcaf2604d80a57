"""What importing the package, building a network and training it bring in."""

import os
import subprocess
import sys

import pytest

from tests.backends import on_pytorch

PROGRAM = """
import sys
import keras_dla
import keras_dla.interop
keras_dla.models.ResNet((1, 2), "dla_l", planes=(8, 16))
keras_dla.models.ResNet((1, 1), "se", planes=(8, 16))
import keras, tempfile
from keras_dla.training import EpochCheckpoint, load_last, set_random_seed
from keras_dla.training.seeds.compile_settings import compiled_settings
set_random_seed(0)
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
with tempfile.TemporaryDirectory() as folder:
    saver = EpochCheckpoint(folder, monitor=None)
    model.fit(keras.ops.ones((2, 2)), keras.ops.ones((2, 1)), verbose=0, callbacks=[saver])
    compiled_settings(load_last(folder)[0])
heavy = ("tensorflow", "keras_cv", "tensorflow_datasets", "safetensors")
print([name for name in heavy if name in sys.modules])
"""


@on_pytorch
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_neither_tensorflow_nor_keras_cv(backend):
    pytest.importorskip(backend)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ
        | {"KERAS_BACKEND": backend, "XLA_FLAGS": "--xla_backend_optimization_level=0"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
