import pytest

from keras_dla import models
from tests.backends import all_on_pytorch, on_pytorch

CIFAR = {20: 2, 56: 6, 110: 12, 164: 18}
IMAGENET = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


@pytest.mark.parametrize(("depth", "blocks"), all_on_pytorch(CIFAR.items(), 2))
def test_cifar_networks(depth, blocks):
    model = getattr(models, f"DLAResNet{depth}")()
    assert model.name == f"dla_l_{depth}"
    assert model.output_shape == (None, 100)
    layer = model.get_layer("stage2_interaction")
    assert (layer.depth, layer.mode, layer.reduction) == (blocks, "light", 4)
    assert layer.formulation == "official"


@on_pytorch
@pytest.mark.parametrize(("depth", "blocks"), IMAGENET.items())
def test_imagenet_networks(depth, blocks):
    model = getattr(models, f"DLAResNet{depth}")()
    assert model.name == f"dla_l_{depth}"
    assert model.output_shape == (None, 1000)
    layers = [model.get_layer(f"stage{number}_interaction") for number in (1, 2, 3, 4)]
    assert tuple(layer.depth for layer in layers) == blocks
    assert {layer.reduction for layer in layers} == {16}


def test_the_arguments_of_the_builder_reach_it():
    model = models.DLAResNet20(
        classes=5, variant="base", formulation="paper", drop_path=0.2, unit="dsu", name="mine"
    )
    layer = model.get_layer("stage1_interaction")
    assert (layer.mode, layer.formulation, model.name) == ("base", "paper", "mine")
    assert layer.attention.drop_path.rate == 0.2
    assert layer.unit.formulation == "paper"
    assert model.output_shape == (None, 5)
    assert models.DLAResNet20(variant="base").name == "dla_b_20"


def test_an_unknown_variant():
    with pytest.raises(ValueError) as caught:
        models.DLAResNet20(variant="heavy")
    assert str(caught.value) == "`variant` must be one of 'light', 'base', but is 'heavy'."
