"""The protocol: what every layer of a stage checks, and a layer of a user's own."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_dla.layers import LayerInteraction, RecurrentLayerAggregation
from tests.gradients import gradients
from tests.layers.stages import (
    INTERACTIONS,
    functional,
    interaction,
    random_maps,
    randomize,
    run,
)

MAPS = np.ones((2, 4, 4, 64), "float32")


def message(call, *args, **kwargs):
    with pytest.raises(ValueError) as caught:
        call(*args, **kwargs)
    return str(caught.value)


@pytest.mark.parametrize("index", [-1, 3, 1.0, True, None])
@pytest.mark.parametrize("name", INTERACTIONS)
def test_a_wrong_index(name, index):
    layer = INTERACTIONS[name](3, data_format="channels_last")
    sentence = f"`index` must be an integer from 0 to 2 in a stage of depth 3, but is {index!r}."
    assert sentence in message(layer, MAPS, index=index)


@pytest.mark.parametrize("name", INTERACTIONS)
def test_a_missing_state(name):
    layer = INTERACTIONS[name](3, data_format="channels_last")
    sentence = (
        "`state` must be the state that the call at index 0 returned, but is None at index 1."
    )
    assert sentence in message(layer, MAPS, index=1)


@pytest.mark.parametrize("name", INTERACTIONS)
def test_shapes_that_do_not_fit(name):
    layer = INTERACTIONS[name](3, data_format="channels_last")
    sentence = "`features` must be a batch of feature maps with 4 axes, but has shape (2, 4, 64)."
    assert sentence in message(layer, MAPS[:, 0])
    layer = INTERACTIONS[name](3, data_format="channels_last")
    _, state = layer(MAPS)
    sentence = (
        "`features` must have the 64 channels of the stage's first layer, "
        "but has shape (2, 4, 4, 32)."
    )
    assert sentence in message(layer, MAPS[..., :32], state, index=1)
    sentence = (
        "`shortcut` must have the shape of `features` (2, 4, 4, 64), but has shape (2, 2, 4, 64)."
    )
    assert sentence in message(layer, MAPS, state, shortcut=MAPS[:, :2], index=1)


@pytest.mark.parametrize("name", ["mrla_b", "mrla_l", "dla_b", "dla_l"])
def test_maps_of_another_size_than_those_of_the_layers_before(name):
    layer = INTERACTIONS[name](3, data_format="channels_last")
    _, state = layer(MAPS)
    sentence = (
        "`features` must have the shape of the previous layers' maps, (2, 4, 4, 64), "
        "but has shape (2, 3, 4, 64)."
    )
    assert sentence in message(layer, MAPS[:, :3], state, index=1)


def test_symbolic_calls_are_checked_too():
    layer = INTERACTIONS["dla_l"](3, data_format="channels_last")
    sentence = "but has shape (None, None, None, None)."
    assert sentence in message(layer, keras.Input((None, None, None)))


def test_for_stage_gives_a_new_layer_with_the_same_settings():
    layer = INTERACTIONS["dla_b"](1, unit="dia", drop_path=0.1, data_format="channels_last")
    copied = layer.for_stage(5, "stage2")
    assert copied is not layer
    assert copied.attention is not layer.attention
    expected = {**layer.get_config(), "depth": 5, "name": "stage2"}
    assert copied.get_config() == expected
    assert layer.depth == 1


def test_gates_are_computed_as_the_docstring_says():
    """LII: h, states = unit(GAP(branch), states); ReLU(branch * h + shortcut)."""
    branches, shortcuts = random_maps(3)
    layer = interaction("lii", 3, unit="dia")
    outputs, _ = run(layer, branches, shortcuts)
    states = layer.unit.get_initial_state(3)
    for branch, shortcut, output in zip(branches, shortcuts, outputs, strict=True):
        gate, states = layer.unit(branch.mean((2, 3)), states)
        gate = ops.convert_to_numpy(gate)[:, :, None, None]
        expected = np.maximum(branch * gate + shortcut, 0)
        np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "formulation"),
    [*((name, "official") for name in INTERACTIONS), ("dla_b", "paper"), ("dla_l", "paper")],
)
def test_every_weight_is_reached(name, formulation):
    layer = INTERACTIONS[name](2, formulation=formulation, data_format="channels_last")
    model = randomize(functional(layer, depth=2))
    rng = np.random.default_rng(0)
    images, cotangent = rng.normal(size=(2, 2, 4, 4, 64)).astype("float32")
    _, _, grads = gradients(model, images, cotangent)
    unreached = [w.path for w in model.trainable_variables if not np.abs(grads[id(w)]).any()]
    # In the base versions the first softmax of a stage sees one key, so f_q has no say; in the
    # paper's light version the first lambda multiplies o^0 = 0.
    none_in_first_layer = name in ("mrla_b", "dla_b") or (name, formulation) == ("dla_l", "paper")
    assert len(unreached) == none_in_first_layer, unreached


@keras.saving.register_keras_serializable(package="keras_dla_tests")
class RunningMean(LayerInteraction):
    """A user's own: the state is the mean of all blocks' outputs, joined to every block's input."""

    def __init__(self, depth, share=0.5, data_format=None, **kwargs):
        super().__init__(depth, data_format, **kwargs)
        self.share = share

    def build(self, features_shape, state_shape=None, shortcut_shape=None):
        channels = self.build_channels(features_shape)
        self.scales = [
            self.add_weight(name=f"scale_{index}", shape=(channels,), initializer="ones")
            for index in range(self.depth)
        ]

    def block_input(self, x, state, index):
        if index == 0:
            return x
        return ops.concatenate([x, state], axis=-1 if self.data_format == "channels_last" else 1)

    def call(self, features, state=None, shortcut=None, index=0):
        self.check_call(features, state, shortcut, index)
        x = self.merge(features, shortcut)
        shape = (1, 1, 1, -1) if self.data_format == "channels_last" else (1, -1, 1, 1)
        x = x * ops.reshape(self.scales[index], shape)
        return x, x if state is None else state + self.share * (x - state)

    def state_spec(self, features, state, shortcut, index):
        return keras.KerasTensor(features.shape, self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "share": self.share}


def test_the_example_of_the_protocol():
    layer = RunningMean(2, share=0.25, data_format="channels_last")
    x, state = layer(MAPS, shortcut=MAPS)
    read = layer.block_input(x, state, 1)
    assert tuple(read.shape) == (2, 4, 4, 128)
    x, state = layer(4 * MAPS, state, shortcut=4 * MAPS, index=1)
    np.testing.assert_allclose(ops.convert_to_numpy(state), np.full(MAPS.shape, 2 + 0.25 * 6))


@pytest.mark.parametrize(
    ("made", "given", "sentence"),
    [
        (
            ("dla_l", {}),
            ("dla_b", {}),
            "`state` must be the state that this layer returned at the previous ",
        ),
        (("dla_b", {}), ("dla_l", {}), "with output, but has keys, pooled, scales, values."),
        (
            ("dla_l", {"unit": "lstm"}),
            ("dla_l", {}),
            "from a layer with the same unit, whose `recalled` has",
        ),
        (("mrla_l", {}), ("mrla_b", {}), "with keys, values, but has output."),
        (("dla_l", {}), ("mrla_l", {}), "with output, but has context, memory, recalled."),
        (("rla_g", {}), ("dla_l", {}), "with context, memory, but has "),
        (("lii", {}), ("lii", {"unit": "rnn"}), "unit, of size 64, but has 64, 64."),
        (("dla_l", {}), ("lii", {}), "unit, of size 64, 64, but has a dict."),
        (("rla_g", {}), ("lii", {}), "unit, of size 64, 64, but has a "),
        (
            ("lii", {}),
            ("rla_g", {}),
            "must be a map of 32 channels, as returned by this layer or by ",
        ),
        (("rla_g", {"hidden_channels": 8}), ("rla_g", {}), "stage's, but has shape (2, 4, 4, 8)."),
    ],
)
def test_the_state_of_another_kind_mode_or_unit(made, given, sentence):
    (maker, options), (reader, others) = made, given
    known = {**INTERACTIONS, "rla_g": RecurrentLayerAggregation}
    maker = known[maker](3, data_format="channels_last", **options)
    reader = known[reader](3, data_format="channels_last", **others)
    _, state = maker(MAPS, shortcut=MAPS)
    assert sentence in message(reader, MAPS, state, shortcut=MAPS, index=1)
    if isinstance(reader, RecurrentLayerAggregation):  # whose blocks read the state before
        with pytest.raises(ValueError, match="must be a map of 32 channels"):
            reader.block_input(MAPS, state, 1)
