"""Trainable parameters of the networks in the paper's Tables 1, 2, 4 and 6."""

import pytest

from keras_dla.models import DLAResNet50, DLAResNet101, ResNet
from tests.backends import THOROUGH, all_on_pytorch, on_pytorch
from tests.parameters import trainable

# By depth and classes.
COUNTS = {
    None: {20: (220_378, 243_508), 56: (591_322, 614_452), 110: (1_147_738, 1_170_868)},
    "se": {20: (241_882, 265_012), 56: (655_834, 678_964), 110: (1_276_762, 1_299_892)},
    "eca": {20: (220_404, 243_534), 56: (591_400, 614_530), 110: (1_147_894, 1_171_024)},
    "dianet": {20: (439_226, 462_356), 56: (810_170, 833_300), 110: (1_366_586, 1_389_716)},
    "mrla_b": {20: (230_286, 253_416), 56: (621_046, 644_176), 110: (1_207_186, 1_230_316)},
    "mrla_l": {20: (231_182, 254_312), 56: (623_734, 646_864), 110: (1_212_562, 1_235_692)},
    "dla_b": {20: (405_230, 428_360), 56: (795_990, 819_120), 110: (1_382_130, 1_405_260)},
    "dla_l": {20: (410_158, 433_288), 56: (802_710, 825_840), 110: (1_391_538, 1_414_668)},
}


# The page of tables, which a test computes anew, has depth 110.
@pytest.mark.parametrize("depth", [20, 56, 110] if THOROUGH else all_on_pytorch([20, 56], 1))
@pytest.mark.parametrize("name", COUNTS)
def test_cifar_networks(name, depth):
    model = ResNet(depth, name, classes=10)
    ten, hundred = COUNTS[name][depth]
    assert trainable(model) == ten
    # The classifier has 256 weights and a bias a class, and nothing else knows the classes.
    classifier = model.get_layer("classifier")
    assert trainable(model) - trainable(classifier) + 257 * 100 == hundred
    assert classifier.kernel.shape == (256, 10)


def test_a_hundred_classes():
    assert trainable(ResNet(20, "dla_l", classes=100)) == COUNTS["dla_l"][20][1]
    assert trainable(ResNet(20, "dla_l")) == COUNTS["dla_l"][20][1]


@on_pytorch
def test_imagenet_networks():
    """Table 2's DLA-L-101 is 47.8M; its DLA-L-50 is 27.2M, see the next test."""
    assert trainable(DLAResNet50()) == 28_581_812
    assert trainable(DLAResNet101()) == 47_783_006


@on_pytorch
def test_where_the_27_2_million_of_table_2_come_from():
    """27,169,492: the DSU of Eq. 7 with r = 20, and the authors' depthwise kernel a stage.

    Ours in the formulation of the paper lacks that kernel (Section 3 has none), and trains c^0.
    """
    channels = [256, 512, 1024, 2048]
    model = DLAResNet50(formulation="paper", reduction=20)
    depthwise_kernels = sum(9 * c for c in channels)
    first_contexts = sum(channels)
    assert trainable(model) + depthwise_kernels - first_contexts == 27_169_492


@pytest.mark.parametrize(
    ("unit", "millions"),
    all_on_pytorch([("lstm", "1.93"), ("rnn", "1.41"), ("dia", "1.46"), ("dsu", "1.41")], 1),
)
def test_units_of_table_4(unit, millions):
    """The table prints 1.39 for the DSU, which is the count with 10 classes (next test)."""
    assert f"{trainable(ResNet(110, 'dla_l', classes=100, unit=unit)) / 1e6:.2f}" == millions


def test_the_dsu_of_table_4_has_ten_classes():
    assert f"{COUNTS['dla_l'][110][0] / 1e6:.2f}" == "1.39"
    assert f"{COUNTS['dla_l'][110][1] / 1e6:.2f}" == "1.41"


@pytest.mark.parametrize(
    ("depth", "unit", "millions"),
    all_on_pytorch(
        [
            (56, None, "0.61"),
            (56, "lstm", "1.31"),
            (56, "dia", "0.83"),
            (56, "dsu", "0.79"),
            (110, None, "1.17"),
            (110, "lstm", "1.86"),
            (110, "dia", "1.39"),
            (110, "dsu", "1.35"),
        ],
        4,
    ),
)
def test_table_6(depth, unit, millions):
    model = ResNet(depth, unit and "dianet", unit=unit)
    assert f"{trainable(model) / 1e6:.2f}" == millions


def test_depth_is_the_number_of_layers_with_weights():
    for depth, stem in ((20, "cifar"), (50, "imagenet")):
        model = ResNet(depth, stem=stem, classes=10)
        convolutions = [
            layer
            for layer in model.layers
            if type(layer).__name__ == "Conv2D" and "downsample" not in layer.name
        ]
        assert len(convolutions) + 1 == depth
