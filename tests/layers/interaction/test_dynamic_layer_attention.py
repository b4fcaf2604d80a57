"""What DynamicLayerAttention does beyond its numbers: whose context, which unit, bad arguments."""

import keras
import numpy as np
import pytest

from keras_dla.layers import DynamicLayerAttention
from tests.golden import assert_close
from tests.layers.stages import interaction, random_maps, run

DYNAMIC = ["dla_b", "dla_l"]


@pytest.mark.parametrize("formulation", ["official", "paper", "verbatim"])
@pytest.mark.parametrize("name", DYNAMIC)
def test_whether_a_prediction_depends_on_its_batch(name, formulation):
    branches, shortcuts = random_maps(3, batch=3)
    layer = interaction(name, 3, formulation=formulation)
    together, _ = run(layer, branches, shortcuts)
    alone = np.concatenate(
        [run(layer, branches[:, n : n + 1], shortcuts[:, n : n + 1])[0] for n in range(3)], axis=1
    )
    if formulation == "verbatim":
        # The first image is right; the others are refreshed by its context.
        assert_close(together[:, 0], alone[:, 0], 1e-5)
        assert np.abs(together[:, 1:] - alone[:, 1:]).max() > 1e-2
    else:
        assert_close(together, alone, 1e-5)


@pytest.mark.parametrize("name", DYNAMIC)
def test_verbatim_is_official_on_a_batch_of_one(name):
    branches, shortcuts = random_maps(3, batch=1)
    official, _ = run(interaction(name, 3), branches, shortcuts)
    verbatim, _ = run(interaction(name, 3, formulation="verbatim"), branches, shortcuts)
    np.testing.assert_array_equal(verbatim, official)


@pytest.mark.parametrize("mode", ["base", "light"])
@pytest.mark.parametrize("name", ["dsu", "dia", "lstm", "rnn"])
def test_units_by_name(name, mode):
    classes = {
        "dsu": "DynamicSharingUnit",
        "dia": "DIAUnit",
        "lstm": "LSTMUnit",
        "rnn": "RNNUnit",
    }
    layer = DynamicLayerAttention(2, mode, unit=name, data_format="channels_last")
    branches, shortcuts = random_maps(2, batch=2)
    outputs, _ = run(layer, branches, shortcuts)
    assert type(layer.unit).__name__ == classes[name]
    assert np.isfinite(outputs).all()
    assert layer.get_config()["unit"] == name


@pytest.mark.parametrize("mode", ["base", "light"])
@pytest.mark.parametrize("as_function", [True, False])
def test_a_cell_of_the_users_own(as_function, mode):
    made = []

    def make(channels):
        made.append(keras.layers.GRUCell(channels))
        return made[-1]

    unit = make if as_function else make(64)
    layer = DynamicLayerAttention(3, mode, unit=unit, data_format="channels_last")
    outputs, state = run(layer, *random_maps(3, batch=2))
    assert layer.unit is made[0]
    assert len(made) == 1
    assert outputs.shape == (3, 2, 64, 5, 4)
    assert tuple(keras.tree.flatten(state["context"])[0].shape) == (2, 64)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"depth": 0}, "`depth` must be an integer of at least 1, but is 0."),
        ({"depth": True}, "`depth` must be an integer of at least 1, but is True."),
        ({"mode": "heavy"}, "`mode` must be one of 'base', 'light', but is 'heavy'."),
        (
            {"unit": "gru"},
            "`unit` must be one of 'dsu', 'dsu_tanh', 'dsu_relu', "
            "'dsu_identity', 'dia', 'lstm', 'rnn', a Keras RNN cell, or a function of "
            "the number of channels that returns one, but is 'gru'.",
        ),
        ({"reduction": 2.5}, "`reduction` must be an integer of at least 1, but is 2.5."),
        ({"head_size": 0}, "`head_size` must be an integer of at least 1, but is 0."),
        ({"drop_path": 1.0}, "`drop_path` must be at least 0 and less than 1, but is 1.0."),
        (
            {"formulation": "theirs"},
            "`formulation` must be one of 'official', 'paper', 'verbatim', but is 'theirs'.",
        ),
        (
            {"data_format": "NHWC"},
            "`data_format` must be one of 'channels_last', 'channels_first', but is 'NHWC'.",
        ),
    ],
)
def test_bad_arguments(arguments, sentence):
    with pytest.raises(ValueError) as caught:
        DynamicLayerAttention(**{"depth": 3, **arguments})
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("arguments", "channels", "sentence"),
    [
        ({"reduction": 65}, 64, r"`reduction` must be at most the number of channels \(64\)"),
        ({}, 48, r"channels divisible by `head_size` \(32\), but has 48\."),
        (
            {"unit": keras.layers.GRUCell(32)},
            64,
            r"`unit` must be an RNN cell with as many outputs as the features have channels \(64\)",
        ),
    ],
)
def test_bad_arguments_for_the_channels(arguments, channels, sentence):
    layer = DynamicLayerAttention(3, data_format="channels_last", **arguments)
    with pytest.raises(ValueError, match=sentence):
        layer(np.ones((1, 2, 2, channels), "float32"))
