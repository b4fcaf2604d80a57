"""Configurations, and what a `.keras` file brings back: numbers and sharing."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_dla
from keras_dla.layers import DynamicLayerAttention, LayerwiseInformationIntegration
from tests.backends import all_on_pytorch
from tests.layers.stages import INTERACTIONS, functional, randomize

ARGUMENTS = {
    "AttentionAugmentedConvolution": {
        "filters": 32,
        "strides": 2,
        "heads": 4,
        "kappa": 0.5,
        "upsilon": 0.25,
        "min_key_channels": 4,
        "downsampling": 2,
        "max_size": 9,
    },
    "MRLABase": {"depth": 3, "head_size": 16, "drop_path": 0.1},
    "BatchNormalization": {"momentum": 0.8, "epsilon": 1e-4, "gamma_initializer": "zeros"},
    "BridgeAttention": {"reduction": 4},
    "Conv2D": {"filters": 4, "kernel_size": 3, "strides": 2},
    "ConvolutionalBlockAttention": {"reduction": 4},
    "DIAUnit": {"units": 16, "reduction": 2},
    "DropPath": {"rate": 0.2, "seed": 3},
    "DoubleAttention": {"reduction": 8},
    "DynamicLayerAttention": {
        "depth": 3,
        "mode": "base",
        "unit": "lstm",
        "reduction": 8,
        "head_size": 16,
        "drop_path": 0.1,
        "formulation": "verbatim",
    },
    "DynamicSharingUnit": {
        "units": 16,
        "reduction": 2,
        "normalizer": "relu",
        "formulation": "paper",
    },
    "EfficientChannelAttention": {},
    "GlobalContext": {"reduction": 4, "last_stages": 2},
    "LSTMUnit": {"units": 16},
    "LayerInteraction": {"depth": 4},
    "LayerwiseInformationIntegration": {
        "depth": 3,
        "unit": "dsu",
        "reduction": 8,
        "formulation": "paper",
    },
    "MRLALight": {"depth": 3, "head_size": 16, "drop_path": 0.1, "formulation": "paper"},
    "NonLocal": {"blocks": 1, "pool_size": 1},
    "RNNUnit": {"units": 16},
    "RecurrentLayerAggregation": {
        "depth": 3,
        "hidden_channels": 8,
        "formulation": "paper",
    },
    "SqueezeExcitation": {"reduction": 4},
}
WITHOUT_FORMAT = {"DIAUnit", "DropPath", "DynamicSharingUnit", "LSTMUnit", "RNNUnit"}


# Not layers of their own, so not registered.
PROTOCOL = {"BlockAttention", "BlockPlace", "register_interaction"}


@pytest.mark.parametrize("name", sorted({*keras_dla.layers.__all__} - PROTOCOL))
def test_config_round_trip(name):
    arguments = {**ARGUMENTS[name], "dtype": "mixed_bfloat16", "name": "mine"}
    if name not in WITHOUT_FORMAT:
        arguments["data_format"] = "channels_first"
    kind = getattr(keras_dla.layers, name)
    layer = kind(**arguments)
    copied = kind.from_config(layer.get_config())
    assert copied.get_config() == layer.get_config()
    assert copied.dtype_policy.name == "mixed_bfloat16"
    for argument, value in arguments.items():
        if argument not in ("dtype", "kernel_size", "strides", "gamma_initializer"):
            assert layer.get_config()[argument] == value
    if name != "LayerInteraction":
        registered = keras.saving.get_registered_name(kind)
        assert registered == f"keras_dla>{name}"


def round_trip(model, path, shape=(2, 5, 4, 64)):
    """Saves, loads, and compares outputs and weights."""
    randomize(model)
    model.save(path / "model.keras")
    loaded = keras.saving.load_model(path / "model.keras")
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    outputs = ops.convert_to_numpy(model(x))
    np.testing.assert_allclose(ops.convert_to_numpy(loaded(x)), outputs, rtol=1e-5, atol=1e-5)
    assert len(loaded.weights) == len(model.weights)
    assert loaded.count_params() == model.count_params()
    return loaded


def check_sharing(loaded, kind, depth=3):
    """One layer, called `depth` times."""
    (layer,) = [layer for layer in loaded.layers if isinstance(layer, kind)]
    assert len(layer._inbound_nodes) == depth
    return layer


CASES = [
    *((name, {}) for name in INTERACTIONS),
    *(("dla_l", {"unit": unit}) for unit in ("dia", "lstm", "rnn")),
    *(("lii", {"unit": unit}) for unit in ("dsu", "lstm", "rnn")),
    ("dla_b", {"formulation": "paper"}),
    ("dla_l", {"formulation": "verbatim", "drop_path": 0.1}),
]


@pytest.mark.parametrize(("name", "arguments"), all_on_pytorch(CASES, len(INTERACTIONS)))
def test_saved_and_loaded(tmp_path, name, arguments):
    layer = INTERACTIONS[name](3, data_format="channels_last", **arguments)
    loaded = round_trip(functional(layer), tmp_path)
    copied = check_sharing(loaded, type(layer))
    assert copied.get_config() == layer.get_config()


@pytest.mark.parametrize("as_function", all_on_pytorch([True, False], 1))
@pytest.mark.parametrize(
    "kind", [DynamicLayerAttention, LayerwiseInformationIntegration], ids=["dla", "lii"]
)
def test_a_cell_of_the_users_own(tmp_path, kind, as_function):
    unit = keras.layers.GRUCell if as_function else keras.layers.GRUCell(64)
    layer = kind(3, unit=unit, data_format="channels_last")
    loaded = round_trip(functional(layer), tmp_path)
    copied = check_sharing(loaded, kind)
    assert type(copied.unit) is keras.layers.GRUCell
    assert copied.unit is not layer.unit
    assert copied.unit.units == 64
    # The cell's three weights are there once, however often it is called.
    assert sum("gru_cell" in weight.path for weight in loaded.weights) == 3
