import math

import keras
import pytest

from keras_dla.detection.backbones import feature_extractor, freeze, level_strides
from keras_dla.models import ResNet
from tests.backends import on_pytorch
from tests.detection.networks import small_backbone


def names(model):
    return list(model.output)


@on_pytorch
def test_a_network_by_name():
    extractor = feature_extractor("dla_l_50", "channels_last")
    assert names(extractor) == ["P2", "P3", "P4", "P5"]
    assert level_strides(extractor) == [4, 8, 16, 32]
    assert [x.shape[-1] for x in extractor.output.values()] == [256, 512, 1024, 2048]


@on_pytorch
def test_the_detectors_reduction():
    """r = 20, with which Table 3's numbers of parameters are met."""
    extractor = feature_extractor("dla_l_50", "channels_last")
    expected = ResNet(50, "dla_l", stem="imagenet", include_top=False, reduction=20)
    assert extractor.count_params() == expected.count_params()


def test_an_extractor_stays_what_it_is():
    extractor = feature_extractor(small_backbone(), keras.config.image_data_format())
    again = feature_extractor(
        keras.Model.from_config(extractor.get_config()), keras.config.image_data_format()
    )
    assert names(again) == names(extractor) == ["P2", "P3", "P4"]


def test_any_functional_model_with_levels():
    x = keras.Input((32, 32, 3))
    p3 = keras.layers.Conv2D(4, 3, 8, padding="same")(x)
    p4 = keras.layers.Conv2D(4, 3, 2, padding="same")(p3)
    extractor = feature_extractor(keras.Model(x, {"P4": p4, "P3": p3}), "channels_last")
    assert level_strides(extractor) == [8, 16]


def levels(**strides):
    x = keras.Input((1024, 1024, 3))
    outputs = {name: keras.layers.AveragePooling2D(stride)(x) for name, stride in strides.items()}
    return keras.Model(x, outputs, name="levels")


def test_levels_are_sorted_by_number():
    extractor = feature_extractor(levels(P10=1024, P9=512), "channels_last")
    assert level_strides(extractor) == [512, 1024]


def test_a_missing_level_is_one_sentence():
    with pytest.raises(ValueError) as caught:
        feature_extractor(levels(P3=8, P5=32), "channels_last")
    assert str(caught.value) == (
        "`backbone` must have consecutive feature levels ('P3', 'P4', ...), but "
        "'levels' has P3, P5."
    )


@pytest.mark.parametrize(("stages", "frozen"), [(0, 0), (1, 1), (3, 3)])
def test_freezing(stages, frozen):
    extractor = feature_extractor(small_backbone(None), "channels_last")
    freeze(extractor, stages)
    for layer in extractor.layers:
        if layer.name.startswith("stem"):
            assert layer.trainable == (stages == 0)
        elif layer.name.startswith("stage"):
            assert layer.trainable == (int(layer.name[5]) > frozen)


@on_pytorch
def test_what_is_frozen_in_resnet_50():
    """What MMDetection's count of Faster R-CNN leaves out: the stem and the first stage."""
    extractor = feature_extractor("resnet_50", "channels_last")
    before = sum(math.prod(weight.shape) for weight in extractor.trainable_weights)
    freeze(extractor, 1)
    after = sum(math.prod(weight.shape) for weight in extractor.trainable_weights)
    assert before - after == 225_344


@pytest.mark.parametrize(
    ("backbone", "sentence"),
    [
        ("vgg_16", "such as 'dla_l_56', but is 'vgg_16'"),
        (3, "`backbone` must be a network's name or a keras.Model, but is 3."),
        (keras.Sequential([keras.Input((4,))], name="plain"), "'plain' has none."),
    ],
)
def test_bad_backbones(backbone, sentence):
    with pytest.raises(ValueError) as caught:
        feature_extractor(backbone, "channels_last")
    assert sentence in str(caught.value)


def test_bad_stages():
    with pytest.raises(ValueError, match="`frozen_stages` must be one of 0, 1, 2, 3, but is 4"):
        freeze(feature_extractor(small_backbone(), "channels_last"), 4)
