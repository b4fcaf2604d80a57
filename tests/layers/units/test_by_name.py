import keras
import numpy as np
import pytest

from keras_dla.layers.units.by_name import make_unit
from keras_dla.models import ResNet
from keras_dla.utils.names import UNITS
from tests.golden import assert_close
from tests.layers.stages import randomize

NORMALIZERS = {"dsu": "sigmoid", "dsu_tanh": "tanh", "dsu_relu": "relu", "dsu_identity": "identity"}


@pytest.mark.parametrize("name", UNITS)
def test_every_name_makes_a_cell(name):
    unit = make_unit(name, 8, reduction=4, formulation="official", dtype="float32")
    assert unit.output_size == 8
    assert getattr(unit, "normalizer", None) == NORMALIZERS.get(name)


@pytest.mark.parametrize("formulation", ["official", "paper"])
@pytest.mark.parametrize("name", UNITS)
def test_the_first_step_is_one_from_the_initial_states(name, formulation):
    """Although nothing that is multiplied by zeros is computed."""
    unit = make_unit(name, 8, reduction=4, formulation=formulation, dtype="float32")
    unit.build((None, 8))
    randomize(unit)
    inputs = np.random.default_rng(1).normal(size=(3, 8)).astype("float32")
    read = unit.read(keras.ops.convert_to_tensor(inputs))
    states = unit.get_initial_state(3)
    output, new = unit.step(read, unit.recall(states), states)
    first_output, first = unit.first_step(read)
    for found, expected in zip([first_output, *first], [output, *new], strict=True):
        assert_close(found, keras.ops.convert_to_numpy(expected), 1e-6)


@pytest.mark.parametrize("interaction", ["dla_l", "dla_b", "dianet"])
def test_a_network_with_a_row_of_table_5_is_saved_with_it(tmp_path, interaction):
    common = {"classes": 3, "planes": (8,), "input_shape": (8, 8, 3)}
    common["data_format"] = "channels_last"
    model = ResNet((2,), interaction, unit="dsu_relu", **common)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    images = np.random.default_rng(0).normal(size=(2, *model.input_shape[1:])).astype("float32")
    expected, found = (keras.ops.convert_to_numpy(net(images)) for net in (model, loaded))
    np.testing.assert_array_equal(found, expected)
    other = ResNet((2,), interaction, unit="dsu", **common)
    other.set_weights(model.get_weights())
    assert np.abs(keras.ops.convert_to_numpy(other(images)) - expected).max() > 1e-6
