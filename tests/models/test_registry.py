import pytest

from keras_dla.layers.registry import interaction_names
from keras_dla.models import get_model, list_models
from tests.backends import on_pytorch

PAPER = {
    *("resnet", "se", "eca", "cbam", "a2", "aa", "gc", "nl", "ba", "rla_g", "dianet", "mrla_b"),
    *("mrla_l", "dla_b", "dla_l"),
}


@on_pytorch
def test_cifar_and_imagenet_by_depth():
    cifar = get_model("mrla_b_20", classes=7, drop_path=0.1)
    assert (cifar.name, cifar.output_shape) == ("mrla_b_20", (None, 7))
    assert cifar.get_layer("stage1_interaction").drop_path.rate == 0.1
    assert get_model("resnet_20").output_shape == (None, 100)
    imagenet = get_model("se_50")
    assert imagenet.output_shape == (None, 1000)
    assert imagenet.get_layer("stem_pool") is not None
    assert get_model("dla_l_101", stem="cifar").output_shape == (None, 100)


@pytest.mark.parametrize("name", ["dla_56", "dla_l", "resnet", "dla_l_x", "", "56", "dla_l_56b"])
def test_unknown_names(name):
    with pytest.raises(ValueError) as caught:
        get_model(name)
    names = ", ".join(["resnet", *interaction_names()])
    assert str(caught.value) == (
        f"`name` must be one of {names} followed by a depth, such as 'dla_l_56', but is {name!r}."
    )


def test_an_impossible_depth():
    with pytest.raises(ValueError, match="`depth` must be 9n"):
        get_model("dla_l_57")


@on_pytorch
def test_every_listed_name_is_a_network():
    names = list_models()
    assert len(set(names)) == len(names)
    assert {name.rpartition("_")[0] for name in names} >= PAPER
    for name in names:
        if name.endswith("_20"):
            assert get_model(name, classes=2).output_shape == (None, 2)
