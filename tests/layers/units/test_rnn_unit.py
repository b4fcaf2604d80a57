import keras

from keras_dla.layers import RNNUnit
from tests.layers.cells import check_against_keras, check_refuses_8_channels, save_and_load


def test_equals_the_cell_of_keras_with_the_two_biases_added():
    check_against_keras(RNNUnit(16), keras.layers.SimpleRNNCell(16))


def test_saved_and_loaded_inside_rnn(tmp_path):
    assert save_and_load(RNNUnit(16), tmp_path).units == 16


def test_inputs_of_another_size():
    check_refuses_8_channels(RNNUnit(16))
