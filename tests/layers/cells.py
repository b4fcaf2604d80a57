"""Checks that every recurrent unit passes."""

import keras
import numpy as np
import pytest

from keras_dla.interop.official_names import LINEAR, VECTOR
from tests.golden import assert_close, part
from tests.layers.stages import randomize


def numpy_of(tensor):
    return keras.ops.convert_to_numpy(tensor)


def load_golden(unit, arrays):
    """Gives `unit` the weights of the authors' unit."""
    unit.build((None, 64))
    state = part(arrays, "state/")
    for name, gates in (("w_ih", unit.input_gates), ("w_hh", unit.hidden_gates)):
        for place, kernel, bias in (
            (0, gates.reduce_kernel, gates.reduce_bias),
            (2, gates.expand_kernel, gates.expand_bias),
        ):
            kernel.assign(LINEAR.to_keras(state.pop(f"{name}.0.seq.{place}.weight")))
            bias.assign(VECTOR.to_keras(state.pop(f"{name}.0.seq.{place}.bias")))
    assert not state


def check_against_golden(unit, arrays):
    """Directly, and inside `keras.layers.RNN`."""
    load_golden(unit, arrays)
    states = unit.get_initial_state(batch_size=8)
    for inputs, hidden, cell in zip(
        arrays["inputs"], arrays["hidden"], arrays["cell"], strict=True
    ):
        output, states = unit(inputs, states)
        assert_close(output, hidden, 1e-5)
        assert_close(states[0], hidden, 1e-5)
        assert_close(states[1], cell, 1e-5)

    rnn = keras.layers.RNN(unit, return_sequences=True, return_state=True)
    outputs, hidden, cell = rnn(arrays["inputs"].transpose(1, 0, 2))
    assert_close(outputs, arrays["hidden"].transpose(1, 0, 2), 1e-5)
    assert_close(hidden, arrays["hidden"][-1], 1e-5)
    assert_close(cell, arrays["cell"][-1], 1e-5)


def check_against_keras(unit, cell):
    """With the unit's two biases added in the cell, which has one."""
    for layer in (unit, cell):
        layer.build((None, unit.units))
    randomize(unit)
    bias = numpy_of(unit.input_bias) + numpy_of(unit.hidden_bias)
    cell.set_weights([numpy_of(unit.input_kernel), numpy_of(unit.hidden_kernel), bias])
    steps = np.random.default_rng(0).normal(size=(2, 5, unit.units)).astype("float32")
    outputs = keras.layers.RNN(unit, return_sequences=True)(steps)
    expected = keras.layers.RNN(cell, return_sequences=True)(steps)
    np.testing.assert_allclose(numpy_of(outputs), numpy_of(expected), rtol=1e-4, atol=1e-6)


def check_refuses_8_channels(unit):
    """`unit` has 16."""
    with pytest.raises(ValueError, match=r"`inputs` must have `units` \(16\) channels"):
        unit(np.ones((2, 8), "float32"), unit.get_initial_state(2))


def save_and_load(unit, tmp_path):
    """Saves a model with `unit` in `keras.layers.RNN`, loads it, returns the loaded unit."""
    steps = keras.Input((None, unit.units))
    model = keras.Model(steps, keras.layers.RNN(unit, return_sequences=True, name="rnn")(steps))
    randomize(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    inputs = np.random.default_rng(0).normal(size=(2, 4, unit.units)).astype("float32")
    outputs = numpy_of(model(inputs))
    np.testing.assert_allclose(numpy_of(loaded(inputs)), outputs, rtol=1e-6)
    assert np.abs(outputs).max() > 0.1
    return loaded.get_layer("rnn").cell
