"""A network begins as the pretrained ResNet, whichever way its blocks interact."""

import keras
import numpy as np
import pytest
import torch

from keras_dla.detection import FasterRCNN
from keras_dla.interop import load_pretrained_resnet
from keras_dla.layers import MRLABase
from keras_dla.layers.registry import interaction_names
from keras_dla.models import ResNet
from tests.backends import all_on_pytorch, on_pytorch
from tests.gradients import gradients
from tests.interop.torch_resnet import trained
from tests.layers.stages import randomize

WITH_START = [None, *(name for name in interaction_names() if name != "aa")]
# The others read the names by the same code: one of each kind of interaction.
KINDS_FIRST = sorted(
    WITH_START, key=("cbam", "mrla_b", "rla_g", "dla_l").__contains__, reverse=True
)
BLOCKS, PLANES = (1, 2, 1), (8, 16, 16)


def small(interaction, **kwargs):
    kwargs = {"classes": 5, "data_format": "channels_last", **kwargs}
    options = {"reduction": 4} if interaction in ("gc", "se", "cbam", "ba") else {}
    return ResNet(
        BLOCKS, interaction, planes=PLANES, classifier_activation=None, **options, **kwargs
    )


def of_torch(network, images):
    with torch.no_grad():
        return network(torch.tensor(images.transpose(0, 3, 1, 2))).numpy()


def images(size=32):
    return np.random.default_rng(1).normal(size=(2, size, size, 3)).astype("float32")


def outputs(model, batch):
    return model.predict(batch, verbose=0)


def close(ours, theirs, tolerance=1e-5):
    assert np.abs(ours - theirs).max() < tolerance * np.abs(theirs).max()


@pytest.mark.parametrize("name", all_on_pytorch(KINDS_FIRST, 4))
def test_a_cifar_network_begins_as_the_resnet(name):
    network = trained(BLOCKS, PLANES, "cifar")
    model = randomize(small(name))
    done = load_pretrained_resnet(model, network.state_dict(), verbose=False)
    close(outputs(model, images()), of_torch(network, images()))
    plain = small(None)
    assert done.loaded == len(plain.weights)
    assert not done.left_aside
    assert done.source == "a CIFAR ResNet with 1-2-1 blocks for 5 classes"


@on_pytorch
@pytest.mark.parametrize("name", ["se", "rla_g"])
def test_an_imagenet_network_begins_as_the_resnet(name):
    network = trained((3, 4, 6, 3), (64, 128, 256, 512), "imagenet", classes=7)
    model = ResNet(50, name, 7, stem="imagenet", classifier_activation=None)
    state = {f"module.model.{name}": tensor for name, tensor in network.state_dict().items()}
    load_pretrained_resnet(model, {"state_dict": state}, verbose=False)
    ours = images(64)
    if model.get_layer("stem_conv1").data_format == "channels_first":
        ours = ours.transpose(0, 3, 1, 2)
    close(outputs(model, ours), of_torch(network, images(64)))


@on_pytorch
@pytest.mark.parametrize("name", [name for name in WITH_START if name])
def test_gradients_reach_the_interaction(name):
    model = small(name)
    load_pretrained_resnet(model, small(None), verbose=False)
    cotangent = np.random.default_rng(2).normal(size=(2, 5)).astype("float32")
    _, _, grads = gradients(model, images(), cotangent)
    for layer in model.layers:
        if layer.name.endswith(("_interaction", "_attention")):
            reached = [np.abs(grads[id(w)]).any() for w in layer.trainable_variables]
            # RLA_g's hidden map is first read by the blocks' convolutions, whose share is zero.
            assert any(reached) or name == "rla_g", layer.name


@on_pytorch
def test_another_head_stays_and_a_backbone_needs_none():
    network = trained(BLOCKS, PLANES, "cifar", classes=9)
    model = small("dla_l")
    before = model.get_layer("classifier").get_weights()
    done = load_pretrained_resnet(model, network.state_dict(), verbose=False)
    assert "classifier" in done.initial
    assert done.left_aside == ("fc.weight", "fc.bias")
    np.testing.assert_array_equal(model.get_layer("classifier").get_weights()[0], before[0])
    backbone = small("dla_l", include_top=False)
    done = load_pretrained_resnet(backbone, network.state_dict(), verbose=False)
    assert "classifier" not in done.initial


@on_pytorch
def test_our_own_networks_and_files(tmp_path, capsys):
    plain = randomize(small(None))
    plain.save(tmp_path / "plain.keras")
    model = small("dla_b")
    load_pretrained_resnet(model, tmp_path / "plain.keras")
    assert capsys.readouterr().out.startswith("Loaded 82 tensors of a CIFAR ResNet with 1-2-1")
    close(outputs(model, images()), outputs(plain, images()))
    other = small("dla_b")
    load_pretrained_resnet(other, plain, start="initial", verbose=False)
    gammas = keras.ops.convert_to_numpy(
        other.get_layer("stage1_interaction").attention.norms[0].gamma
    )
    assert gammas.all()


@on_pytorch
def test_keras_hub():
    keras_hub = pytest.importorskip("keras_hub")
    backbone = keras_hub.models.ResNetBackbone(
        [64], [7], [64, 128], [2, 2], [1, 2], "bottleneck_block", image_shape=(None, None, 3),
        data_format="channels_last",
    )  # fmt: skip
    randomize(backbone)
    arguments = {"stem": "imagenet", "planes": (64, 128), "data_format": "channels_last"}
    model = ResNet((2, 2), "mrla_l", include_top=False, **arguments)
    load_pretrained_resnet(model, backbone, verbose=False)
    expected = outputs(backbone, images())
    close(outputs(model, images()), expected)


def refused(model, source, *fragments):
    before = model.get_weights()
    with pytest.raises(ValueError) as caught:
        load_pretrained_resnet(model, source, verbose=False)
    for fragment in fragments:
        assert fragment in str(caught.value)
    assert "\n" not in str(caught.value)
    for mine, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@on_pytorch
def test_other_networks_are_named_and_refused():
    state = {n: t.numpy() for n, t in trained(BLOCKS, PLANES, "cifar").state_dict().items()}
    model = small("dla_l")
    basic = {n: t for n, t in state.items() if "conv3" not in n and "bn3" not in n}
    refused(model, basic, "`source` must contain the plain ResNet inside", "BasicBlocks")
    grouped = {n: t[:, : t.shape[1] // 2] if "conv2" in n else t for n, t in state.items()}
    refused(model, grouped, "groups (ResNeXt)")
    deep = {
        n.replace("conv1.weight", "conv1.0.weight") if n[0] == "c" else n: t
        for n, t in state.items()
    }
    refused(model, deep, "three 3x3 convolutions (ResNet-C or -D)")
    moved = {n.replace("downsample.1", "downsample.2"): t for n, t in state.items()}
    average = {n.replace("downsample.0", "downsample.1"): t for n, t in moved.items()}
    refused(model, average, "average before their convolution")
    squeezed = {**state, "layer1.0.se.fc1.weight": np.zeros((4, 32, 1, 1), "float32")}
    refused(model, squeezed, "an SE CIFAR ResNet", "have biases")
    gated = {**state, "layer1.0.eca.conv.weight": np.zeros((1, 1, 3), "float32")}
    refused(model, gated, "is an ECA CIFAR ResNet", "it has layer1.0.eca.conv.weight besides")
    shallow = {n: t for n, t in state.items() if not n.startswith("layer2.1.")}
    refused(model, shallow, "ResNet-11", "it has no layer2.1.conv1.weight")
    wide = {**state, "layer1.0.conv1.weight": np.zeros((9, 16, 1, 1), "float32")}
    refused(model, wide, "layer1.0.conv1.weight has shape (9, 16, 1, 1) instead of (8, 16, 1, 1)")
    refused(model, {"w": np.zeros(3)}, "1 tensors that do not belong to a ResNet, such as 'w'")
    images = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 1, name="conv2_block1_1_conv")(images)
    refused(model, keras.Model(images, x), "keras.applications has it in the first 1x1")
    refused(model, keras.Model(images, images), "must be a network or backbone of keras_dla.models")


@on_pytorch
def test_interactions_without_a_neutral_start():
    refused(small("dianet", unit="lstm"), small(None), "LII with the unit LSTMUnit has no neutral")
    refused(small("aa"), small(None), "an attention replaces the 3x3 convolution")
    mine = type("Mine", (keras.layers.Layer,), {"call": lambda self, x: x})
    refused(small(mine()), small(None), "Mine has no neutral start", "start='initial'")


@on_pytorch
def test_a_layer_of_ones_own_may_have_a_start():
    class Mine(MRLABase):
        def start_neutral(self):
            raise AssertionError("a subclass of ours has ours")

    class Halved(keras.layers.Layer):
        def call(self, x):
            return x / 2

        def start_neutral(self):
            return 0.5

    for layer in (Mine(1), Halved()):
        model, plain = small(layer), randomize(small(None))
        load_pretrained_resnet(model, plain, verbose=False)
        close(outputs(model, images()), outputs(plain, images()))


@on_pytorch
def test_weights_of_a_builder(tmp_path):
    network = trained(BLOCKS, PLANES, "cifar")
    torch.save({"epoch": 3, "model": network.state_dict()}, tmp_path / "resnet.bin")
    model = small("mrla_b", weights=tmp_path / "resnet.bin")
    close(outputs(model, images()), of_torch(network, images()))


@on_pytorch
def test_a_detector_begins_with_the_maps_of_the_resnet(tmp_path):
    network = trained((1, 1, 1), (8, 16, 16), "imagenet")
    torch.save(network.state_dict(), tmp_path / "resnet.pth")
    arguments = {"stem": "imagenet", "planes": (8, 16, 16), "include_top": False}
    backbone = ResNet((1, 1, 1), "mrla_l", data_format="channels_last", **arguments)
    sizes = {"channels": 8, "head_units": 8, "data_format": "channels_last"}
    detector = FasterRCNN(backbone, 2, backbone_weights=tmp_path / "resnet.pth", **sizes)
    maps = detector.backbone.predict(images(64), verbose=0)
    assert list(maps) == ["P2", "P3", "P4"]
    with torch.no_grad():
        expected = network.maps(torch.tensor(images(64).transpose(0, 3, 1, 2)))
    for ours, theirs in zip(maps.values(), expected, strict=True):
        close(ours, theirs.numpy().transpose(0, 2, 3, 1))
