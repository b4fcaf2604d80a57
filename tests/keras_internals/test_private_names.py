"""Every private name of Keras does what it is used for, on the oldest and the newest Keras."""

import ast
import re
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_dla
from keras_dla.keras_internals import graph_nodes, private_names

PACKAGE = Path(keras_dla.__file__).parent


def small_model():
    x = inputs = keras.Input((3,), name="images")
    x = keras.layers.Dense(4, name="dense")(x)
    x = keras.layers.BatchNormalization(name="norm")(x)
    return keras.Model(inputs, x, name="small")


def test_layers_at_any_depth():
    inner = small_model()
    x = keras.Input((3,))
    outer = keras.Model(x, inner(x), name="outer")
    names = [layer.name for layer in private_names.all_layers(outer)]
    assert {"outer", "small", "dense", "norm"} <= set(names)
    assert len(names) == len(set(names))
    assert private_names.all_layers(inner.get_layer("dense")) == [inner.get_layer("dense")]


def test_variables_that_are_not_trained():
    model = small_model()
    norm = model.get_layer("norm")
    own = private_names.own_non_trainable_variables(norm)
    assert {variable.name for variable in own} == {"moving_mean", "moving_variance"}
    assert private_names.own_non_trainable_variables(model) == []


def test_values_are_those_that_stand_in_the_variables_places():
    norm = small_model().get_layer("norm")
    variables = [norm.gamma, norm.moving_mean]

    def read():
        return [keras.ops.convert_to_numpy(v).tolist() for v in private_names.values_of(variables)]

    assert read() == [[1] * 4, [0] * 4]
    other = keras.ops.full((4,), 2.0)
    with keras.StatelessScope(state_mapping=[(norm.gamma, other)]):
        assert read() == [[2] * 4, [0] * 4]
    norm.gamma.assign(other)
    assert read() == [[2] * 4, [0] * 4]


def test_the_operation_that_made_a_tensor():
    model = small_model()
    assert private_names.operation_of(model.outputs[0]) is model.get_layer("norm")


def test_building():
    model = small_model()
    model.compile("sgd", "mse", metrics=["mae"])
    private_names.build_all(model, (np.ones((2, 3)), np.ones((2, 4))))
    assert len(model.metrics_variables) == 4


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a method of TensorFlow's")
def test_fit_builds_by_the_given_function():
    model = small_model()
    model.compile("sgd", "mse")
    seen = []
    private_names.replace_building(model, lambda **arguments: seen.append(list(arguments)))
    model.fit(np.ones((2, 3)), np.ones((2, 4)), verbose=0)
    assert seen == [["iterator"]]


def test_what_an_optimiser_keeps_of_a_variable():
    model = small_model()
    optimizer = keras.optimizers.SGD(0.1, weight_decay=0.5)
    optimizer.build(model.trainable_variables)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    kernel, bias = model.get_layer("dense").weights
    assert private_names.variable_index(optimizer, kernel) == 0
    assert private_names.variable_index(optimizer, bias) == 1
    assert private_names.decays(optimizer, kernel)
    assert not private_names.decays(optimizer, bias)


def test_calls_of_a_graph():
    model = small_model()
    nodes = graph_nodes.ordered_nodes(model)
    assert [node.operation.name for node in nodes] == ["images", "dense", "norm"]
    assert [node.is_input for node in nodes] == [True, False, False]
    known = {id(model.inputs[0]): np.ones((2, 3), "float32")}
    for node in nodes[1:]:
        graph_nodes.call_node(node, known, node.operation)
    expected = keras.ops.convert_to_numpy(model(np.ones((2, 3), "float32")))
    found = keras.ops.convert_to_numpy(known[id(model.outputs[0])])
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_keras_without_the_name_is_named():
    with pytest.raises(RuntimeError, match=r"Dense\._gone.*Keras .* does not have"):
        private_names._private(keras.layers.Dense(1), "_gone", "looks")


def test_lean_model_runs_through_keras_where_the_graph_is_hidden(monkeypatch):
    monkeypatch.setattr("keras_dla.keras_internals.lean_model.has_nodes", lambda model: False)
    x = keras.Input((3,))
    y = keras.layers.Dense(2)(x)
    values = np.ones((2, 3), "float32")
    found, expected = (kind(x, y)(values) for kind in (keras_dla.models.LeanModel, keras.Model))
    found, expected = map(keras.ops.convert_to_numpy, (found, expected))
    np.testing.assert_array_equal(found, expected)


def private_attributes(tree, own):
    """Yields attributes with one underscore that are neither set in `own` nor PyTorch's."""
    for node in ast.walk(tree):
        private = isinstance(node, ast.Attribute) and re.match(
            r"_(?!_|foreach|replace$|exit$|C$)", node.attr
        )
        if private and node.attr not in own:
            yield f"{node.attr} in line {node.lineno}"


def names_set(tree):
    """Yields what a file defines or assigns as attributes."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def test_no_private_name_of_keras_outside_this_room():
    texts = {
        path.relative_to(PACKAGE): path.read_text(encoding="utf-8")
        for path in PACKAGE.rglob("*.py")
        if path.parent.name != "keras_internals"
    }
    trees = {path: ast.parse(text) for path, text in texts.items()}
    own = {name for tree in trees.values() for name in names_set(tree)}
    found = [
        f"{path}: {name}" for path, tree in trees.items() for name in private_attributes(tree, own)
    ]
    assert not found
    assert not [path for path, text in texts.items() if "keras.src" in text]
