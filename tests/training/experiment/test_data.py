"""The images of an experiment are the same wherever they are kept."""

import keras
import numpy as np
import pytest

from keras_dla.training.experiment import data as experiment_data
from keras_dla.training.seeds.stacked_batches import batches_of, stacked_batches
from tests.training.experiments import arrays, small


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(experiment_data, "load_cifar_arrays", arrays)


def assert_equal_batches(found, expected):
    for batch, other in zip(found, expected, strict=True):
        for part, array in zip(batch, other, strict=True):
            np.testing.assert_allclose(keras.ops.convert_to_numpy(part), array, atol=1e-6)


def opened(**changed):
    return experiment_data.open_data(small(**changed).resolved())


@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="has no store on the device")
def test_on_the_device():
    device, memory = opened(data="device"), opened()
    for first in (0, 2):
        assert_equal_batches(
            batches_of(device.train(first), 4), list(batches_of(memory.train(first), 4))
        )
    assert_equal_batches(batches_of(device.test), list(batches_of(memory.test)))
    found = stacked_batches([device.with_seed(s).train(0) for s in (0, 5)], 2)
    expected = stacked_batches([memory.with_seed(s).train(0) for s in (0, 5)], 2)
    assert_equal_batches(found, list(expected))


def test_another_seed():
    with_seed = opened().with_seed(5)
    assert_equal_batches(
        batches_of(with_seed.train(1), 4), list(batches_of(opened(seed=5).train(1), 4))
    )
