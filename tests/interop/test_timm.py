"""ResNets under timm's real names: loaded to timm's own logits, or refused for what differs."""

import numpy as np
import pytest

from keras_dla.interop import load_checkpoint
from keras_dla.models import ResNet
from tests.backends import on_pytorch
from tests.interop import timm_networks
from tests.interop.timm_networks import CLASSES, images, weight

pytestmark = on_pytorch
TIMM = timm_networks.read()
REFUSED = {
    "resnet18": ("a ResNet-18 for 10 classes", "it has BasicBlocks of two convolutions"),
    "resnet50c": ("a ResNet-50 for 10 classes", "its stem is three 3x3 convolutions"),
    "resnet50d": ("a ResNet-50", "its shortcuts average before their convolution (ResNet-D)"),
    "resnet50_gn": ("a ResNet-50", "its normalisation has no moving statistics (GroupNorm)"),
    "resnext50_32x4d": ("a ResNet-50", "its 3x3 convolutions have groups (ResNeXt)"),
    "wide_resnet50_2": ("a ResNet-50", "its bottlenecks are wider than a quarter of its maps"),
    "res2net50_26w_4s": ("a ResNet-50", "its 3x3 convolutions are split into several (Res2Net)"),
    "resnetv2_50": ("a ResNet-50", "its normalisation comes before its convolutions (ResNetV2)"),
    "seresnet50": ("an SE ResNet-50", "the linear maps of its squeeze-and-excitation have biases,"),
    "legacy_seresnet50": ("an SE ResNet-50", "and its stride is in the first 1x1 convolution"),
    "seresnet50t": ("an SE ResNet-50 for 10 classes", "its shortcuts average"),
    "ecaresnet50t": ("an ECA ResNet-50 for 10 classes", "its shortcuts average"),
    "ecaresnetlight": ("an ECA ResNet with 1-1-11-3 blocks", "its shortcuts average"),
}


@pytest.mark.parametrize(
    ("interaction", "source"), [("dla_l", "resnet50"), ("eca", "resnet50 with eca")]
)
def test_the_logits_are_timms(interaction, source):
    arguments = {"stem": "imagenet", "data_format": "channels_last", "classifier_activation": None}
    model = ResNet(50, interaction, CLASSES, **arguments)
    shapes = TIMM["shapes"][source]
    load_checkpoint(model, {name: weight(name, tuple(shape)) for name, shape in shapes.items()})
    logits, expected = model.predict(images(), verbose=0), np.array(TIMM["logits"][source])
    assert np.abs(logits - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.fixture(scope="module")
def models():
    settings = {"classes": CLASSES, "stem": "imagenet", "planes": (16,)}
    return {name: ResNet((1,), name, **settings) for name in ("se", "eca", None)}


@pytest.mark.parametrize("source", REFUSED)
def test_other_networks_are_refused_for_what_differs(models, source):
    interaction = {"se": "se", "ec": "eca"}.get(source.removeprefix("legacy_")[:2])
    shapes = TIMM["shapes"][source]
    empty = {name: np.broadcast_to(np.float32(1), shape) for name, shape in shapes.items()}
    with pytest.raises(ValueError) as caught:
        load_checkpoint(models[interaction], empty)
    for fragment in REFUSED[source]:
        assert fragment in str(caught.value)


def test_what_only_its_name_tells(models, tmp_path):
    with pytest.raises(ValueError, match=r"resnetblur50\.bt_in1k.* is by its name an anti-aliased"):
        load_checkpoint(models[None], tmp_path / "resnetblur50.bt_in1k.safetensors")
