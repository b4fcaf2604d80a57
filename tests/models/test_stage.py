"""The builder knows the protocols only: interactions and attentions of a user's own plug in."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_dla.layers import DynamicLayerAttention
from keras_dla.models import ResNet
from keras_dla.models.stage import stage
from tests.layers.test_layer_interaction import RunningMean


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
    assert mine.unit == "dia"


def test_one_stage_with_a_cell_of_the_users_own():
    cell = keras.layers.GRUCell(64)
    mine = DynamicLayerAttention(1, unit=cell, data_format="channels_last")
    inputs = keras.Input((None, None, 64))

    def block(x, index, name, attention):
        assert attention is None
        return keras.layers.Dense(64, name=name)(x), x

    model = keras.Model(inputs, stage(inputs, 3, block, mine, "stage1"))
    assert sum("gru_cell" in weight.path for weight in model.weights) == 3
    assert model.get_layer("stage1_interaction").unit is not cell
    assert not cell.built


def test_plain_addition():
    inputs = keras.Input((None, None, 4))

    def block(x, index, name, attention):
        assert attention is None
        return keras.layers.Rescaling(-3.0, name=name)(x), x

    model = keras.Model(inputs, stage(inputs, 1, block, None, "stage1"))
    x = np.random.default_rng(0).normal(size=(2, 3, 3, 4)).astype("float32")
    np.testing.assert_allclose(ops.convert_to_numpy(model(x)), np.maximum(-2 * x, 0), rtol=1e-5)
