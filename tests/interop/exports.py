"""Small networks to export, and what is exported, to run."""

import functools
import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_dla.interop import export_model
from keras_dla.interop.exporting import FORMATS
from keras_dla.interop.verify_export import RUNTIMES
from keras_dla.models import ResNet
from tests.layers.stages import randomize

ROOT = Path(__file__).resolve().parents[2]
BACKEND = keras.backend.backend()
HERE = [name for name, form in FORMATS.items() if BACKEND in form.packages]
SHAPE = (12, 12, 3)
FREE = (None, None, 3)
# Two blocks in a stage, so that a layer reads the one before it, and two heads.
CIFAR = {"stem": "cifar", "depth": (1, 2), "planes": (8, 16)}


@pytest.fixture(autouse=True, scope="module")
def traced_once():
    """PyTorch's two formats begin with the same slow tracing, of one network after the other."""
    if BACKEND != "torch":
        yield
        return
    from keras_dla.interop import exporting_torch

    with pytest.MonkeyPatch.context() as patch:
        cached = functools.lru_cache(maxsize=3)(exporting_torch.exported_program)
        patch.setattr(exporting_torch, "exported_program", cached)
        yield


@functools.cache
def load_example():
    spec = importlib.util.spec_from_file_location("export", ROOT / "examples" / "export.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def network(name, **kwargs):
    """A network with random weights, also where new ones are zero, and random statistics."""
    fixed = {"classes": 5, "classifier_activation": None}
    size = {**CIFAR, "input_shape": SHAPE, "data_format": "channels_last"}
    return randomize(ResNet(interaction=name, **{**size, **fixed, **kwargs}))


def exported(model, path, format, verify=False):
    """Exports, or skips where what writes or runs the format is missing; returns a function."""
    needed = (*FORMATS[format].packages[BACKEND], *filter(None, [RUNTIMES.get(format)]))
    for package in needed:
        pytest.importorskip(package, reason=f"{format} needs {package}: install the extra export")
    export_model(model, path, format, verify=verify)
    return load_example().LOADERS[format](path)


def images(batch, shape=SHAPE):
    return np.random.default_rng(batch).normal(size=(batch, *shape)).astype("float32")


def assert_computes(run, model, x):
    """The outputs tell images apart, and differ by rounding, relative to the largest."""
    expected = keras.ops.convert_to_numpy(model(x, training=False))
    scale = np.abs(expected).max()
    assert len(x) == 1 or np.ptp(expected, axis=0).max() > 1e-2 * scale
    np.testing.assert_allclose(run(x) / scale, expected / scale, rtol=0, atol=1e-5)
