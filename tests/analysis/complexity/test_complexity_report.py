"""The table of what a network holds and costs."""

import keras
from keras import layers

from keras_dla.analysis import complexity
from keras_dla.models import DLAResNet20
from tests.analysis.complexity.test_complexity import LAST, LIGHT
from tests.backends import on_pytorch

pytestmark = on_pytorch


def test_table():
    images = keras.Input((None, None, 3), name="images")
    x = layers.Conv2D(8, 3, name="conv", **LAST)(images)
    model = keras.Model(images, layers.BatchNormalization(name="norm")(x), name="mine")
    counts = complexity(model, (102, 102, 3))
    assert str(counts).splitlines() == [
        "mine on 102 x 102 x 3",
        "layer  class               output         parameters      FLOPs",
        "-" * 63,
        "conv   Conv2D              100 x 100 x 8         224  2,160,000",
        "norm   BatchNormalization  100 x 100 x 8          32          0",
        "256 parameters: 240 trainable, 16 not",
        "2,160,000 FLOPs (multiply-adds) per image: 2.16 M",
    ]
    assert counts.to_markdown().splitlines() == [
        "**mine on 102 x 102 x 3**",
        "",
        "| layer | class | output | parameters | FLOPs |",
        "| --- | --- | --- | ---: | ---: |",
        "| conv | Conv2D | 100 x 100 x 8 | 224 | 2,160,000 |",
        "| norm | BatchNormalization | 100 x 100 x 8 | 32 | 0 |",
        "",
        "256 parameters: 240 trainable, 16 not  ",
        "2,160,000 FLOPs (multiply-adds) per image: 2.16 M",
    ]


def test_calls_and_parts_in_the_table():
    text = str(complexity(DLAResNet20(classes=5, data_format="channels_last"), (8, 8, 3)))
    assert "DynamicLayerAttention, 2 calls" in text
    for part in (*LIGHT, "excitation", "unit"):
        assert text.count(f"\n- {part} ") == 3
