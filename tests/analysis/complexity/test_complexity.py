"""Parameters and FLOPs against counts by hand, the paper's Table 2 and PyTorch's own counter."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_dla.analysis import complexity
from keras_dla.layers import DropPath, DynamicSharingUnit
from keras_dla.layers.flops import matrix_flops
from keras_dla.models import DLAResNet20, LeanModel, ResNet, get_model
from tests.backends import on_pytorch, thorough

FORMATS = ["channels_last", "channels_first"]


def flops_of(model, input_shape=None):
    """FLOPs by layer, of those that have any."""
    rows = complexity(model, input_shape).layers
    return {row.name: row.flops for row in rows if row.flops != 0}


LAST = {"data_format": "channels_last"}
# On a 9 x 6 map with 8 channels.
BY_HAND = [
    (layers.Conv2D(5, (3, 2), strides=2, padding="same", **LAST), (3 * 2 * 8) * 5 * (5 * 3)),
    (layers.Conv2D(4, 3, groups=4, **LAST), (3 * 3 * 2) * 4 * (7 * 4)),
    (layers.Conv2D(4, 3, dilation_rate=2, padding="same", **LAST), (3 * 3 * 8) * 4 * (9 * 6)),
    (layers.DepthwiseConv2D(3, depth_multiplier=2, **LAST), (3 * 3) * 16 * (7 * 4)),
    (layers.SeparableConv2D(5, 3, depth_multiplier=2, **LAST), (9 * 16 + 16 * 5) * (7 * 4)),
    (layers.Conv2DTranspose(5, 3, strides=2, **LAST), (3 * 3 * 8) * 5 * (9 * 6)),
    (layers.Dense(7), 8 * 7 * (9 * 6)),
    (layers.BatchNormalization(), 0),
    (layers.LayerNormalization(), 0),
    (layers.PReLU(), 0),
    (layers.AveragePooling2D(2, **LAST), 0),
    (layers.Dropout(0.5), 0),
    (layers.Reshape((54, 8)), 0),
]


@pytest.mark.parametrize(("layer", "expected"), BY_HAND, ids=lambda x: getattr(x, "name", None))
def test_layers_of_keras(layer, expected):
    images = keras.Input((9, 6, 8))
    model = keras.Model(images, layer(images))
    counts = complexity(model)
    assert counts.flops == expected
    (row,) = counts.layers
    assert (row.name, row.kind, row.calls) == (layer.name, type(layer).__name__, 1)
    assert row.output_shape == model.output_shape[1:]
    assert row.params == counts.params == layer.count_params()
    assert counts.uncounted == ()


def test_one_and_three_dimensions():
    line, volume = keras.Input((10, 4)), keras.Input((5, 6, 7, 2))
    model = keras.Model(
        [line, volume], [layers.Conv1D(6, 3)(line), layers.Conv3D(3, 2, **LAST)(volume)]
    )
    assert complexity(model).flops == 3 * 4 * 6 * 8 + 8 * 2 * 3 * (4 * 5 * 6)


def test_parameters_trainable_and_not():
    images = keras.Input((4, 4, 3))
    x = layers.Conv2D(5, 3, name="frozen", **LAST)(images)
    x = layers.BatchNormalization(name="norm")(x)
    model = keras.Model(images, layers.Dense(2)(x))
    model.get_layer("frozen").trainable = False
    counts = complexity(model)
    assert (counts.params, counts.trainable, counts.non_trainable) == (172, 22, 150)
    assert counts.params == model.count_params() == sum(row.params for row in counts.layers)
    by_name = {row.name: (row.params, row.trainable) for row in counts.layers}
    assert by_name["frozen"] == (140, 0)
    assert by_name["norm"] == (20, 10)


def test_every_call_of_a_shared_layer_counts():
    shared = layers.Conv2D(3, 3, padding="same", name="shared", **LAST)
    images = keras.Input((8, 8, 3))
    x = layers.AveragePooling2D(2, **LAST)(shared(images))
    counts = complexity(keras.Model(images, shared(x)))
    (row,) = [row for row in counts.layers if row.name == "shared"]
    assert (row.calls, row.params, row.output_shape) == (2, 84, (4, 4, 3))
    assert row.flops == counts.flops == 81 * (64 + 16)
    assert counts.params == 84


def test_models_inside_the_model():
    inner_images = keras.Input((None, None, 3))
    convolution = layers.Conv2D(3, 1, name="conv", **LAST)
    inner = keras.Model(inner_images, convolution(inner_images), name="inner")
    pooling, dense = layers.GlobalAveragePooling2D(**LAST), layers.Dense(4, name="dense")
    head = keras.Sequential([keras.Input((None, None, 3)), pooling, dense], name="head")
    images = keras.Input((6, 6, 3))
    model = keras.Model(images, head(convolution(inner(inner(images)))))
    counts = complexity(model)
    assert flops_of(model) == {"inner/conv": 3 * 9 * 36, "head/dense": 12}
    assert counts.params == model.count_params() == 12 + 16
    rows = {row.name: row for row in counts.layers}
    assert rows["inner/conv"].calls == 3
    assert flops_of(head, (5, 5, 3)) == {"dense": 12}


def test_operations_that_are_no_layers():
    tokens = keras.Input((5, 4))
    scores = ops.matmul(tokens, ops.swapaxes(tokens, 1, 2))
    model = keras.Model(tokens, ops.softmax(scores, axis=-1) * 2.0 + 1.0)
    counts = complexity(model)
    assert counts.flops == 5 * 5 * 4
    assert [row.kind for row in counts.layers] == ["Matmul"]
    assert counts.layers[0].output_shape == (5, 5)


class Scores(layers.Layer):
    """A user's own, with the hook."""

    def call(self, inputs, scale=1.0):
        return ops.matmul(inputs, ops.swapaxes(inputs, 1, 2)) * scale

    def flops(self, inputs, scale=1.0):
        _, tokens, channels = inputs.shape
        return {"products": tokens * tokens * channels, "scaling": tokens * tokens}


class Unknown(layers.Layer):
    """A user's own, without."""

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], 3))

    def call(self, inputs):
        return ops.matmul(inputs, self.kernel)


def test_the_hook_of_a_users_own_layer():
    tokens = keras.Input((5, 4))
    model = keras.Model(tokens, Scores(name="scores")(tokens, scale=0.5))
    counts = complexity(model)
    assert counts.layers[0].parts == {"products": 100, "scaling": 25}
    assert counts.flops == 125
    assert "- products" in str(counts)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (Unknown, "unknown"),
        (lambda name: layers.Lambda(lambda x: x, name=name), "lambda"),
        (lambda name: layers.LSTM(3, return_sequences=True, name=name), "lstm"),
    ],
)
def test_what_nobody_can_count_is_named(make, name):
    tokens = keras.Input((5, 4))
    model = keras.Model(tokens, layers.Dense(2)(make(name=name)(tokens)))
    counts = complexity(model)
    assert counts.uncounted == (name,)
    assert counts.layers[0].flops is None
    assert counts.flops > 0
    assert f"not counted: {name}" in str(counts)
    assert "at least " in str(counts)


def test_products_of_keras_that_are_not_known():
    tokens = keras.Input((5, 4))
    model = keras.Model(tokens, ops.einsum("bij,bkj->bik", tokens, tokens))
    assert len(complexity(model).uncounted) == 1
    model = keras.Model(tokens, layers.Dot(2, name="dot")([tokens, tokens]))
    assert complexity(model).uncounted == ("dot",)


def test_a_unit_called_by_itself_and_drop_path():
    vector = keras.Input((64,))
    unit = DynamicSharingUnit(64, reduction=4)
    zeros = ops.zeros_like(vector)
    output, _ = unit(vector, [zeros, zeros])
    counts = complexity(keras.Model(vector, DropPath(0.1)(output)))
    assert counts.flops == 2 * (64 * 16 + 16 * 192)
    assert counts.uncounted == ()


def residual_block(height, width, inputs, planes, strides, hidden=0):
    """Multiply-adds of a bottleneck block that changes its number of channels."""
    before, after = height * width, -(-height // strides) * -(-width // strides)
    read = before * (inputs + hidden) * planes
    return read + after * (9 * planes**2 + 4 * planes**2 + inputs * 4 * planes)


@on_pytorch
def test_a_network_by_hand():
    """ResNet-11 on an odd map: 9 x 7, then 5 x 4, then 3 x 2."""
    model = ResNet(11, classes=5, data_format="channels_last")
    expected = 9 * 3 * 16 * 63
    expected += residual_block(9, 7, 16, 16, 1)
    expected += residual_block(9, 7, 64, 32, 2)
    expected += residual_block(5, 4, 128, 64, 2)
    assert complexity(model, (9, 7, 3)).flops == expected + 256 * 5


@on_pytorch
def test_rla_by_hand():
    model = ResNet(11, "rla_g", classes=5, data_format="channels_last")
    expected = 9 * 3 * 16 * 63
    expected += residual_block(9, 7, 16, 16, 1, 32) + 63 * (64 * 32 + 9 * 32**2)
    expected += residual_block(9, 7, 64, 32, 2, 32) + 20 * (128 * 32 + 9 * 32**2)
    expected += residual_block(5, 4, 128, 64, 2, 32) + 6 * (256 * 32 + 9 * 32**2)
    # The head's 32 more channels.
    assert complexity(model, (9, 7, 3)).flops == expected + (256 + 32) * 5


def parts_of(name, stage, depth=29, size=(9, 7), **kwargs):
    model = ResNet(depth, name, classes=5, data_format="channels_last", **kwargs)
    (row,) = [
        row
        for row in complexity(model, (*size, 3)).layers
        if row.name == f"stage{stage}_interaction"
    ]
    assert row.flops == sum(row.parts.values())
    assert row.calls == (depth - 2) // 9
    return row.parts


# Stage 2: 128 channels on 5 x 4, kernels of 5 along the channels, three layers.
MAP = 128 * 20
UNIT = 2 * (128 * 32 + 32 * 3 * 128)
LIGHT = {
    "projections": 3 * 2 * 5 * 128,
    "scores": 3 * 128,
    "values": 3 * 9 * MAP,
    "weighted sum": 3 * 2 * MAP,
}
BASE = {**LIGHT, "scores": (1 + 2 + 3) * 128, "weighted sum": (1 + 2 + 3) * MAP}


@pytest.mark.parametrize(
    ("name", "kwargs", "expected"),
    [
        ("mrla_l", {}, LIGHT),
        ("mrla_b", {}, BASE),
        # The unit runs once for the context and once for the memory, at each of three layers.
        ("dla_l", {}, {**LIGHT, "excitation": 3 * 9 * MAP, "unit": 6 * UNIT}),
        # Once for the context, and for key and value of every old layer.
        ("dla_b", {}, {**BASE, "unit": (3 + 2 * (1 + 2)) * UNIT}),
        ("dianet", {}, {"unit": 3 * 2 * (128 * 32 + 32 * 4 * 128)}),
        ("dianet", {"unit": "lstm"}, {"unit": 3 * 2 * 4 * 128**2}),
        ("dianet", {"unit": layers.GRUCell}, {"unit": 3 * 2 * 3 * 128**2}),
        (
            "dla_l",
            {"formulation": "paper"},
            {**LIGHT, "unit": 6 * (2 * 128 * 32 + 32 * 3 * 128)},
        ),
        (
            "dla_b",
            {"formulation": "paper"},
            {
                **BASE,
                # The keys of the refreshed features are made anew.
                "projections": BASE["projections"] + (1 + 2) * 5 * 128,
                "unit": (3 + 1 + 2) * (2 * 128 * 32 + 32 * 3 * 128),
            },
        ),
    ],
)
def test_interactions_by_hand(name, kwargs, expected):
    assert parts_of(name, 2, **kwargs) == expected


# What these layers do not compute as a convolution or a product of matrices, but is one.
SUMMED_BY_HAND = ("scores", "weighted sum")
PLAIN = (None, "se", "eca", "cbam", "gc", "nl", "a2", "ba", "rla_g", "dianet")
ATTENTIONS = ("mrla_l", "mrla_b", "dla_l", "dla_b")


def recalled_before(unit, row):
    """What Eq. 5 and 6 count once per vector, but DLA computes once per context.

    The contexts are those of the layers; half of a DSU's matrices meet them. Of the initial one,
    which is zero, only a bias meets a matrix, and PyTorch does not count that.
    """
    vectors, contexts = row.parts["unit"] // matrix_flops(unit), row.calls
    return (vectors - contexts) * matrix_flops(unit) // 2


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="PyTorch's own counter")
@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("name", PLAIN + ATTENTIONS)
def test_against_the_counter_of_pytorch(name, data_format):
    """It sees convolutions and products of matrices, and counts each multiply-add as two."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    shape = (32, 24, 3) if data_format == "channels_last" else (3, 32, 24)
    model = ResNet(29, name, classes=5, data_format=data_format)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros((1, *shape)), training=False)
    counts = complexity(model, shape)
    elsewhere = sum(
        row.parts.get(part, 0)
        for row in counts.layers
        for part in SUMMED_BY_HAND
        if name in ATTENTIONS
    )
    if name in ("dla_l", "dla_b"):
        rows = (row for row in counts.layers if "unit" in row.parts)
        elsewhere += sum(recalled_before(model.get_layer(row.name).unit, row) for row in rows)
    assert counts.uncounted == ()
    assert 2 * (counts.flops - elsewhere) == counter.get_total_flops()


@on_pytorch
def test_augmented_convolution_by_hand():
    """Its look-ups of relative positions and its resampling are no products to count."""
    model = ResNet(20, "aa", classes=5, data_format="channels_last")
    rows = {row.name: row for row in complexity(model, (32, 24, 3)).layers}
    layer = model.get_layer("stage2_block1_attention")
    keys, values = layer.key_channels, layer.value_channels
    # From 32 x 24 with 32 channels to 16 x 12.
    assert rows["stage2_block1_attention"].parts == {
        "convolution": 9 * 32 * (32 - values) * 192,
        "projections": (32 * (2 * keys + values) + values**2) * 192,
        "scores": 192 * (192 + 16 + 12) * keys,
        "weighted sum": 192 * 192 * values,
    }


@on_pytorch
def test_channel_attention_by_hand():
    model = ResNet(11, "eca", classes=5, data_format="channels_last")
    rows = {row.name: row for row in complexity(model, (8, 8, 3)).layers}
    assert rows["stage3_block1_attention"].parts == {"gate": 5 * 256}


# Parameters in millions (ours where the table's differ), FLOPs in billions.
TABLE_2 = [
    ("resnet_50", 25.6, 4.1),
    ("se_50", 28.1, 4.1),
    ("eca_50", 25.6, 4.1),
    ("rla_g_50", 25.9, 4.5),
    ("mrla_l_50", 25.7, 4.2),
    ("dla_l_50", 28.6, 4.3),
    ("resnet_101", 44.5, 7.8),
    ("se_101", 49.3, 7.8),
    ("eca_101", 44.5, 7.8),
    ("rla_g_101", 45.0, 8.4),
    ("mrla_l_101", 44.9, 7.9),
    ("dla_l_101", 47.8, 8.1),
]


@thorough  # the page of tables, which a test computes anew, has these figures
@pytest.mark.parametrize(("name", "millions", "billions"), TABLE_2)
def test_table_2(name, millions, billions):
    """DLA-L-50 is printed with 27.2M; see tests/models/test_parameter_counts.py."""
    model = get_model(name, data_format="channels_last")
    counts = complexity(model, (224, 224, 3))
    assert round(counts.trainable / 1e6, 1) == millions
    assert abs(counts.flops / 1e9 - billions) < 0.1
    assert counts.uncounted == ()


@on_pytorch
@pytest.mark.parametrize("name", [None, "dla_l", "dla_b", "rla_g"])
def test_size_given_late_or_early_and_formats(name):
    expected = None
    for data_format in FORMATS:
        shape = (9, 7, 3) if data_format == "channels_last" else (3, 9, 7)
        for early in (None, shape):
            model = ResNet(20, name, classes=5, input_shape=early, data_format=data_format)
            counts = complexity(model, None if early else shape)
            found = [(row.name, row.params, row.flops, row.parts) for row in counts.layers]
            expected = expected or found
            assert found == expected
            assert counts.input_shape == shape


@on_pytorch
def test_the_model_is_neither_run_nor_changed(tmp_path, monkeypatch):
    model = DLAResNet20(classes=5, data_format="channels_last")
    before = {layer.name: len(layer._inbound_nodes) for layer in model.layers}
    monkeypatch.setattr(LeanModel, "call", lambda *args, **kwargs: pytest.fail("was run"))
    counts = complexity(model, (8, 8, 3))
    monkeypatch.undo()
    assert {layer.name: len(layer._inbound_nodes) for layer in model.layers} == before
    assert complexity(model, (8, 8, 3)) == counts
    model.save(tmp_path / "model.keras")
    assert complexity(keras.saving.load_model(tmp_path / "model.keras"), (8, 8, 3)) == counts
    model(np.ones((1, 9, 8, 3), "float32"))
