import keras
import numpy as np
import pytest

from keras_dla.layers import RNNUnit
from tests.layers.cells import numpy_of, save_and_load
from tests.layers.stages import randomize


def test_equals_the_cell_of_keras_with_the_two_biases_added():
    unit = RNNUnit(16)
    unit.build((None, 16))
    randomize(unit)
    cell = keras.layers.SimpleRNNCell(16)
    cell.build((None, 16))
    bias = numpy_of(unit.input_bias) + numpy_of(unit.hidden_bias)
    cell.set_weights([numpy_of(unit.input_kernel), numpy_of(unit.hidden_kernel), bias])
    steps = np.random.default_rng(0).normal(size=(2, 5, 16)).astype("float32")
    outputs = keras.layers.RNN(unit, return_sequences=True)(steps)
    expected = keras.layers.RNN(cell, return_sequences=True)(steps)
    np.testing.assert_allclose(numpy_of(outputs), numpy_of(expected), rtol=1e-4, atol=1e-6)


def test_saved_and_loaded_inside_rnn(tmp_path):
    assert save_and_load(RNNUnit(16), tmp_path).units == 16


def test_inputs_of_another_size():
    unit = RNNUnit(16)
    with pytest.raises(ValueError, match=r"`inputs` must have `units` \(16\) channels"):
        unit(np.ones((2, 8), "float32"), unit.get_initial_state(2))
