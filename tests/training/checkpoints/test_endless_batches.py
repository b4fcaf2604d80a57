import keras
import numpy as np
import pytest

from keras_dla.data import ArrayDataset
from keras_dla.training import EndlessBatches


def dataset(**kwargs):
    images = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3)).astype("uint8")
    return ArrayDataset(images, np.arange(10), batch_size=4, seed=5, **kwargs)


def assert_same_batch(batch, expected):
    for array, other in zip(batch, expected, strict=True):
        np.testing.assert_array_equal(array, other)


def test_strings_epochs_together():
    endless = EndlessBatches(dataset())
    for epoch in range(3):
        expected = dataset(initial_epoch=epoch)
        for place in range(3):
            assert_same_batch(endless[3 * epoch + place], expected[place])


def test_starts_anywhere():
    assert_same_batch(EndlessBatches(dataset(), first=4)[3], EndlessBatches(dataset())[7])


@pytest.mark.parametrize("steps", [2, 3, 4])
def test_fit_goes_through_in_order(steps):
    """Whatever Keras looks at in advance, each step gets its own batch."""
    seen = []

    class Recorder(keras.layers.Layer):
        def call(self, x):
            return keras.ops.mean(x, axis=(1, 2, 3), keepdims=False)[:, None]

    model = keras.Sequential([keras.Input((8, 8, 3)), Recorder(), keras.layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    original = model.train_step

    def train_step(*arguments):
        data = arguments[-1]
        seen.append(keras.ops.convert_to_numpy(data[1]).tolist())
        return original(*arguments)

    model.train_step = train_step
    model.fit(EndlessBatches(dataset()), steps_per_epoch=steps, epochs=3, shuffle=False, verbose=0)
    expected = EndlessBatches(dataset())
    assert seen == [expected[i][1].tolist() for i in range(3 * steps)]
