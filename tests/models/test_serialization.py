"""Whole networks through `.keras` files."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_dla.layers import LayerInteraction
from keras_dla.layers.registry import interaction_names
from keras_dla.models import ResNet
from tests.backends import all_on_pytorch, on_pytorch
from tests.layers.stages import randomize

# A layer of a network, with a setting that its file has to bring back.
SETTINGS = {
    "cbam": ("stage3_block1_attention", "reduction", 16),
    "a2": ("stage3_block2_attention", "reduction", 4),
    "aa": ("stage3_block1_attention", "max_size", 8),
    "gc": ("stage3_block1_attention", "reduction", 16),
    "nl": ("stage3_block2_attention", "pool_size", 2),
    "ba": ("stage3_block1_attention", "reduction", 16),
}


def round_trip(model, path):
    randomize(model)
    model.save(path / "model.keras")
    loaded = keras.saving.load_model(path / "model.keras")
    x = np.random.default_rng(0).normal(size=(2, 16, 16, 3)).astype("float32")
    outputs = ops.convert_to_numpy(model(x))
    np.testing.assert_allclose(ops.convert_to_numpy(loaded(x)), outputs, rtol=1e-4, atol=1e-5)
    assert len(loaded.weights) == len(model.weights)
    for layer, copied in zip(model.layers, loaded.layers, strict=True):
        assert layer.name == copied.name
        if isinstance(layer, LayerInteraction):
            assert len(copied._inbound_nodes) == len(layer._inbound_nodes) == copied.depth
    return loaded


# A file holds no backend: one of each kind elsewhere.
KINDS = ("dla_l", "mrla_b", "rla_g", "cbam")
KINDS_FIRST = sorted([None, *interaction_names()], key=KINDS.__contains__, reverse=True)


@pytest.mark.parametrize("name", all_on_pytorch(KINDS_FIRST, len(KINDS)))
def test_every_interaction(tmp_path, name):
    # DLA refreshes from a second block on, and the non-local blocks stand in one.
    depth = 20 if name in ("dla_b", "dla_l", "a2", "nl") else 11
    model = ResNet(depth, name, classes=5, data_format="channels_last", classifier_activation=None)
    loaded = round_trip(model, tmp_path)
    if name in SETTINGS:
        layer, setting, value = SETTINGS[name]
        assert getattr(loaded.get_layer(layer), setting) == value


@pytest.mark.parametrize("unit", all_on_pytorch(["dsu", "dia", "lstm", "rnn"], 1))
def test_every_unit(tmp_path, unit):
    arguments = {"classes": 5, "data_format": "channels_last", "classifier_activation": None}
    loaded = round_trip(ResNet(11, "dianet", unit=unit, **arguments), tmp_path)
    assert loaded.get_layer("stage3_interaction").get_config()["unit"] == unit


@on_pytorch
def test_a_function_that_makes_the_users_own_unit(tmp_path):
    model = ResNet(
        20,
        "dla_l",
        classes=5,
        unit=lambda channels: keras.layers.GRUCell(channels),
        data_format="channels_last",
        classifier_activation=None,
    )
    loaded = round_trip(model, tmp_path)
    units = [loaded.get_layer(f"stage{number}_interaction").unit for number in (1, 2, 3)]
    assert [unit.units for unit in units] == [64, 128, 256]
