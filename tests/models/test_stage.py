"""The builder knows the protocols only: interactions and attentions of a user's own plug in."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_dla.layers import DynamicLayerAttention
from keras_dla.layers.block_attention.block_attention import BlockAttention, BlockPlace
from keras_dla.models import ResNet
from keras_dla.models.stage import stage
from tests.backends import on_pytorch
from tests.layers.interaction.test_layer_interaction import RunningMean


def places(depth):
    return [BlockPlace(0, 1, index, depth, planes=16, strides=1) for index in range(depth)]


def images(data_format):
    shape = (2, 8, 8, 3) if data_format == "channels_last" else (2, 3, 8, 8)
    return np.random.default_rng(0).normal(size=shape).astype("float32")


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_an_interaction_of_the_users_own(tmp_path, data_format):
    mine = RunningMean(1, share=0.25, data_format=data_format)
    model = ResNet(29, mine, classes=5, data_format=data_format)
    layers = [model.get_layer(f"stage{number}_interaction") for number in (1, 2, 3)]
    assert {type(layer) for layer in layers} == {RunningMean}
    assert [(layer.depth, layer.share, layer.channels) for layer in layers] == [
        (3, 0.25, 64),
        (3, 0.25, 128),
        (3, 0.25, 256),
    ]
    assert not mine.built
    # Its state is joined to the input of every block but the first.
    kernels = [model.get_layer(f"stage2_block{n}_conv1").kernel.shape for n in (1, 2, 3)]
    assert kernels == [(1, 1, 64, 32), (1, 1, 256, 32), (1, 1, 256, 32)]

    outputs = ops.convert_to_numpy(model(images(data_format)))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    found = ops.convert_to_numpy(loaded(images(data_format)))
    np.testing.assert_allclose(found, outputs, rtol=1e-5)


@keras.saving.register_keras_serializable(package="keras_dla_tests")
class Gate(keras.layers.Layer):
    """A block attention: scales every channel by a weight."""

    def __init__(self, start=0.5, **kwargs):
        super().__init__(**kwargs)
        self.start = start

    def build(self, input_shape):
        self.scale = self.add_weight(
            shape=input_shape[-1:], initializer=keras.initializers.Constant(self.start)
        )

    def call(self, inputs):
        return inputs * self.scale

    def get_config(self):
        return {**super().get_config(), "start": self.start}


def test_a_block_attention_of_the_users_own():
    model = ResNet(20, Gate(0.25), classes=5, data_format="channels_last")
    gates = [layer for layer in model.layers if isinstance(layer, Gate)]
    assert len(gates) == 6
    assert len({id(gate.scale) for gate in gates}) == 6
    assert gates[0].name == "stage1_block1_attention"
    assert {gate.start for gate in gates} == {0.25}
    # It stands behind the last BN and before the addition.
    (node,) = gates[0]._inbound_nodes
    assert node.input_tensors[0]._keras_history.operation.name == "stage1_block1_bn3"


def test_a_layer_given_to_the_builder_is_copied_not_used():
    mine = DynamicLayerAttention(1, "base", unit="dia", data_format="channels_last")
    model = ResNet(20, mine, classes=5, data_format="channels_last")
    layer = model.get_layer("stage2_interaction")
    assert layer is not mine
    assert (layer.mode, layer.depth, type(layer.unit).__name__) == ("base", 2, "DIAUnit")
    assert (mine.unit_name, mine.unit, mine.built) == ("dia", None, False)


@on_pytorch
def test_one_stage_with_a_cell_of_the_users_own():
    cell = keras.layers.GRUCell(64)
    mine = DynamicLayerAttention(1, unit=cell, data_format="channels_last")
    inputs = keras.Input((None, None, 64))

    def block(x, branch_input, place, name, attention):
        assert attention is None
        return keras.layers.Dense(64, name=name)(branch_input), x

    x, _ = stage(inputs, places(3), block, mine, "stage1")
    model = keras.Model(inputs, x)
    assert sum("gru_cell" in weight.path for weight in model.weights) == 3
    assert model.get_layer("stage1_interaction").unit is not cell
    assert not cell.built


def test_plain_addition():
    inputs = keras.Input((None, None, 4))

    def block(x, branch_input, place, name, attention):
        assert attention is None
        return keras.layers.Rescaling(-3.0, name=name)(branch_input), x

    outputs, state = stage(inputs, places(1), block, None, "stage1")
    assert state is None
    model = keras.Model(inputs, outputs)
    x = np.random.default_rng(0).normal(size=(2, 3, 3, 4)).astype("float32")
    np.testing.assert_allclose(ops.convert_to_numpy(model(x)), np.maximum(-2 * x, 0), rtol=1e-5)


@keras.saving.register_keras_serializable(package="keras_dla_tests")
class Probe(BlockAttention):
    """Doubles what it is given, or the branch of a list; stands in all second blocks."""

    def __init__(self, position="branch", **kwargs):
        super().__init__(**kwargs)
        self.position = position

    def for_block(self, place, name=None):
        return super().for_block(place, name) if place.index == 1 else None

    def call(self, inputs):
        return 2 * (inputs[2] if self.position == "bridge" else inputs)

    def get_config(self):
        return {**super().get_config(), "position": self.position}


@pytest.mark.parametrize(
    ("position", "behind"),
    [
        ("convolution", ["relu1"]),
        ("branch", ["bn3"]),
        ("bridge", ["relu1", "relu2", "bn3"]),
        ("output", ["relu3"]),
    ],
)
def test_positions_of_block_attentions(tmp_path, position, behind):
    mine = Probe(position, data_format="channels_last")
    model = ResNet(20, mine, classes=5, data_format="channels_last")
    probes = [layer for layer in model.layers if isinstance(layer, Probe)]
    assert [probe.name for probe in probes] == [f"stage{n}_block2_attention" for n in (1, 2, 3)]
    (node,) = probes[1]._inbound_nodes
    found = [tensor._keras_history.operation.name for tensor in node.input_tensors]
    assert found == [f"stage2_block2_{name}" for name in behind]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = images("channels_last")
    expected = ops.convert_to_numpy(model(x))
    np.testing.assert_allclose(ops.convert_to_numpy(loaded(x)), expected, rtol=1e-5)


@keras.saving.register_keras_serializable(package="keras_dla_tests")
class Counter(RunningMean):
    """Hands its state on to the next stage and to the head."""

    def block_input(self, x, state, index):
        return x

    def enter(self, state):
        return state

    def call(self, features, state=None, shortcut=None, index=0):
        x = self.merge(features, shortcut)
        count = ops.mean(x, axis=(1, 2, 3), keepdims=True)
        return x, count if state is None else state + count

    def state_spec(self, features, state, shortcut, index):
        return keras.KerasTensor((features.shape[0], 1, 1, 1), self.compute_dtype)

    def head_input(self, x, state):
        return x * state


def test_a_state_that_outlives_its_stage():
    mine = Counter(1, data_format="channels_last")
    maps = ResNet(20, mine, include_top=False, data_format="channels_last")
    pooled = ResNet(20, mine, include_top=False, pooling="avg", data_format="channels_last")
    pooled.set_weights(maps.get_weights())
    layers = [maps.get_layer(f"stage{number}_interaction") for number in (1, 2, 3)]
    outputs = [node.output_tensors[0] for layer in layers for node in layer._inbound_nodes]
    x = images("channels_last")
    blocks = [ops.convert_to_numpy(y) for y in keras.Model(maps.inputs, outputs)(x)]
    assert len(blocks) == 6
    total = sum(block.mean((1, 2, 3)) for block in blocks)
    assert maps.output is maps.pyramid_outputs["P2"]
    expected = blocks[-1].mean((1, 2)) * total[:, None]
    np.testing.assert_allclose(ops.convert_to_numpy(pooled(x)), expected, rtol=1e-4)
