import gc
import weakref
from typing import NamedTuple

import keras
import numpy as np
import pytest
from keras import ops

from keras_dla.models import LeanModel, ResNet


def branching(model_class):
    """A graph with a tensor read twice, an output that is read on, and a nest of outputs."""
    inputs = {"a": keras.Input((3,), name="a"), "b": keras.Input((3,), name="b")}
    keras.utils.set_random_seed(0)
    first = keras.layers.Dense(3, name="first")(inputs["a"])
    shared = keras.layers.Dense(3, name="shared")
    total = shared(first) + shared(inputs["b"])
    last = keras.layers.Multiply()([total, first, total])
    return model_class(inputs, {"total": total, "last": [last, first]})


def test_a_graph_of_every_kind_runs_as_in_keras():
    values = {"a": np.eye(3, dtype="float32"), "b": np.ones((3, 3), "float32")}
    expected, found = (branching(kind)(values) for kind in (keras.Model, LeanModel))
    keras.tree.assert_same_structure(found, expected)
    for one, other in zip(keras.tree.flatten(found), keras.tree.flatten(expected), strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(one), ops.convert_to_numpy(other))


def test_saved_cloned_and_cut_in_pieces(tmp_path):
    model = ResNet(11, "dla_l", classes=3, data_format="channels_last")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model) is LeanModel
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    expected = ops.convert_to_numpy(model(x))
    np.testing.assert_allclose(ops.convert_to_numpy(loaded(x)), expected, rtol=1e-5)
    pooled = model.get_layer("avg_pool").output
    piece = LeanModel(model.inputs, pooled)(x)
    classified = ops.convert_to_numpy(model.get_layer("classifier")(piece))
    np.testing.assert_allclose(classified, expected, rtol=1e-5)


class Pair(NamedTuple):
    first: object
    second: object


class Difference(keras.layers.Layer):
    """Takes its tensors in nests of every kind, and one argument that is none."""

    def call(self, pair, more=None, sign=1):
        return sign * (pair.first - pair.second) + more["a"][0] - more["b"][1]


def test_arguments_come_in_the_nests_they_were_given_in():
    a, b = keras.Input((3,)), keras.Input((3,))
    outputs = Difference()(Pair(a, b), more={"a": (b, a), "b": [b, a]}, sign=-1)
    values = np.ones((2, 3), "float32"), np.full((2, 3), 3, "float32")
    expected, found = (kind([a, b], outputs)([*values]) for kind in (keras.Model, LeanModel))
    np.testing.assert_array_equal(ops.convert_to_numpy(found), np.full((2, 3), 4))
    np.testing.assert_array_equal(ops.convert_to_numpy(expected), ops.convert_to_numpy(found))


@keras.saving.register_keras_serializable(package="keras_dla_tests")
class Witness(keras.layers.Layer):
    """Counts how many of the tensors that the layers of its kind made are still held."""

    made: list = []  # noqa: RUF012 - shared by all
    held: list = []  # noqa: RUF012

    def call(self, x):
        gc.collect()
        self.held.append(sum(tensor() is not None for tensor in self.made))
        outputs = x + 1
        self.made.append(weakref.ref(outputs))
        return outputs


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="Only PyTorch runs layer by layer.")
def test_tensors_are_let_go_after_their_last_use():
    import torch

    x = inputs = keras.Input((3,))
    for _ in range(5):
        x = Witness()(x)
    counts = {}
    for kind in (keras.Model, LeanModel):
        model = kind(inputs, x)
        Witness.made.clear()
        Witness.held.clear()
        with torch.no_grad():
            model(np.ones((1, 3), "float32"))
        counts[kind] = list(Witness.held)
    assert counts == {keras.Model: [0, 1, 2, 3, 4], LeanModel: [0, 1, 1, 1, 1]}
