"""Networks train and drop paths without a warning."""

import warnings

import keras
import numpy as np
import pytest
from keras import ops

from keras_dla.models import ResNet
from tests.backends import all_on_pytorch


def images(batch=4, size=8):
    return np.random.default_rng(0).normal(size=(batch, size, size, 3)).astype("float32")


@pytest.mark.parametrize("name", all_on_pytorch(["dla_l", "dla_b"], 1))
def test_no_warning_from_building_to_predicting(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # NumPy's remark about Keras's own conversion of arrays.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        model = ResNet(
            (2, 2), name, planes=(8, 16), classes=3, drop_path=0.2, data_format="channels_last"
        )
        model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        before = model.get_layer("stage2_interaction").get_weights()
        history = model.fit(images(), np.array([0, 1, 2, 0]), batch_size=2, verbose=0)
        probabilities = model.predict(images(), verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert np.isfinite(probabilities).all()
    after = model.get_layer("stage2_interaction").get_weights()
    assert any((a != b).any() for a, b in zip(after, before, strict=True))


def test_drop_path_acts_in_training_only():
    arguments = {"planes": (8, 16), "classes": 3, "data_format": "channels_last"}
    with_drop = ResNet((1, 1), "dla_l", drop_path=0.5, **arguments)
    without = ResNet((1, 1), "dla_l", **arguments)
    trained = [w for w in with_drop.weights if "seed_generator" not in w.path]
    for mine, theirs in zip(
        [w for w in without.weights if "seed_generator" not in w.path], trained, strict=True
    ):
        mine.assign(ops.convert_to_numpy(theirs))
    x = images()
    expected = ops.convert_to_numpy(without(x))
    np.testing.assert_allclose(ops.convert_to_numpy(with_drop(x)), expected, rtol=1e-5)
    first, second = (ops.convert_to_numpy(with_drop(x, training=True)) for _ in range(2))
    assert np.abs(first - second).max() > 1e-3
