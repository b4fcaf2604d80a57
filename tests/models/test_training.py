"""Networks learn, drop paths and reach every weight, without a warning."""

import warnings

import keras
import numpy as np
import pytest
from keras import ops

from keras_dla.models import ResNet
from keras_dla.models.interactions import INTERACTIONS
from tests.gradients import gradients


def images(batch=4, size=8):
    return np.random.default_rng(0).normal(size=(batch, size, size, 3)).astype("float32")


@pytest.mark.parametrize("name", ["dianet", "mrla_l", "dla_b", "dla_l"])
def test_no_warning_from_building_to_predicting(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # NumPy's remark about Keras's own conversion of arrays.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        model = ResNet(20, name, classes=3, drop_path=0.2, data_format="channels_last")
        model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        before = model.get_layer("stage3_interaction").get_weights()
        history = model.fit(images(), np.array([0, 1, 2, 0]), batch_size=2, verbose=0)
        probabilities = model.predict(images(), verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert np.isfinite(probabilities).all()
    after = model.get_layer("stage3_interaction").get_weights()
    assert any((a != b).any() for a, b in zip(after, before, strict=True))


@pytest.mark.parametrize(
    ("name", "formulation"),
    [*((name, "official") for name in INTERACTIONS), ("dla_b", "paper"), ("dla_l", "paper")],
)
def test_every_weight_is_reached(name, formulation):
    model = ResNet(
        20,
        name,
        classes=3,
        formulation=formulation,
        data_format="channels_last",
        classifier_activation=None,
    )
    cotangent = np.random.default_rng(1).normal(size=(4, 3)).astype("float32")
    _, _, grads = gradients(model, images(), cotangent)
    unreached = [w.path for w in model.trainable_variables if not np.abs(grads[id(w)]).any()]
    assert all(np.isfinite(grad).all() for grad in grads.values())
    # In the base versions the first softmax of a stage sees one key, so f_q has no say; in the
    # paper's light version the first lambda multiplies o^0 = 0.
    none_in_first_layer = name in ("mrla_b", "dla_b") or (name, formulation) == ("dla_l", "paper")
    assert len(unreached) == (3 if none_in_first_layer else 0), unreached


def test_drop_path_acts_in_training_only():
    with_drop = ResNet(20, "dla_l", classes=3, drop_path=0.5, data_format="channels_last")
    without = ResNet(20, "dla_l", classes=3, data_format="channels_last")
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
