"""Networks without a top are backbones of KerasCV's and KerasHub's RetinaNet."""

import keras
import numpy as np
import pytest

from keras_dla.models import ResNet
from tests.backends import all_on_pytorch

NAMES = ["dla_l", None, "nl", "rla_g"]
IMAGES = np.zeros((1, 64, 64, 3), "float32")


def backbone(name):
    shape = {"stem": "imagenet", "input_shape": (64, 64, 3), "data_format": "channels_last"}
    return ResNet((1, 2, 1, 1), name, planes=(8, 8, 16, 16), include_top=False, **shape)


@pytest.mark.parametrize("name", all_on_pytorch(NAMES, elsewhere=1))
def test_keras_cv(name):
    keras_cv = pytest.importorskip("keras_cv", reason="KerasCV is not installed.")
    model = keras_cv.models.RetinaNet(
        num_classes=3, bounding_box_format="xyxy", backbone=backbone(name)
    )
    outputs = model(IMAGES)
    anchors = 9 * (8**2 + 4**2 + 2**2 + 1 + 1)
    assert tuple(outputs["box"].shape) == (1, anchors, 4)
    assert tuple(outputs["classification"].shape)[:2] == (1, anchors)


@pytest.mark.parametrize("name", all_on_pytorch(NAMES, elsewhere=1))
def test_keras_hub(name):
    keras_hub = pytest.importorskip("keras_hub", reason="KerasHub is not installed.")
    model = keras_hub.models.RetinaNetBackbone(
        image_encoder=backbone(name), min_level=3, max_level=5, use_p5=False
    )
    shapes = {level: tuple(map_.shape) for level, map_ in model(IMAGES).items()}
    assert shapes == {"P3": (1, 8, 8, 256), "P4": (1, 4, 4, 256), "P5": (1, 2, 2, 256)}
    assert isinstance(model, keras.Model)
