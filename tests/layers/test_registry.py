import keras
import pytest

from keras_dla.layers import BlockAttention, LayerInteraction, registry
from keras_dla.layers.registry import find_interaction, register_interaction
from keras_dla.models import ResNet, get_model, list_models, used_options
from keras_dla.utils.names import INTERACTIONS


@pytest.fixture(autouse=True)
def forgotten_afterwards(monkeypatch):
    monkeypatch.setattr(registry, "_INTERACTIONS", registry._INTERACTIONS.copy())


class Scaled(keras.layers.Layer):
    def __init__(self, factor=1.0, reduction=2, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor
        self.reduction = reduction

    def call(self, inputs):
        return self.factor * inputs

    def get_config(self):
        return {**super().get_config(), "factor": self.factor, "reduction": self.reduction}


def test_a_layer_without_a_base_class_of_ours():
    returned = register_interaction("scaled", factor=3.0, imagenet={"reduction": 8})(Scaled)
    assert returned is Scaled
    assert {"scaled_20", "scaled_50"} <= set(list_models())
    layer = get_model("scaled_11", classes=2).get_layer("stage1_block1_attention")
    assert (layer.factor, layer.reduction) == (3.0, 2)
    layer = ResNet((1, 1), "scaled", stem="imagenet", planes=(8, 8), reduction=None).get_layer(
        "stage1_block1_attention"
    )
    assert layer.reduction == 8
    assert (
        find_interaction("scaled").make("imagenet", "channels_last", {"reduction": 5}).reduction
        == 5
    )
    assert used_options("scaled_20", reduction=3, unit="dsu") == {"reduction": 3}


def test_what_the_name_fixes_is_no_option():
    register_interaction("scaled", reduction=4)(Scaled)
    with pytest.raises(ValueError, match="`reduction` must not be given for 'scaled'"):
        ResNet(11, "scaled", reduction=2)


@pytest.mark.parametrize("base", [BlockAttention, LayerInteraction])
def test_our_bases_get_data_format_and_depth(base):
    mine = type("Mine", (base,), {})
    register_interaction("mine")(mine)
    layer = find_interaction("mine").make("cifar", "channels_first", {})
    assert layer.data_format == "channels_first"
    assert getattr(layer, "depth", 1) == 1


def test_a_subclass_has_the_options_of_its_base():
    base = find_interaction("dla_l").layer

    class Wider(base):
        def __init__(self, depth, width=2, **kwargs):
            super().__init__(depth, **kwargs)

    register_interaction("wider", width=3)(Wider)
    assert find_interaction("wider").options == ("formulation", "unit", "reduction", "drop_path")


@pytest.mark.parametrize("name", ["", "Mine", "my-layer", "2a", "resnet", 3, "_a"])
def test_malformed_names(name):
    with pytest.raises(ValueError, match="`name` must be lower-case letters"):
        register_interaction(name)


def test_what_cannot_be_registered():
    with pytest.raises(ValueError, match="must decorate a class of Keras layers, but decorates"):
        register_interaction("mine")(lambda inputs: inputs)
    with pytest.raises(ValueError, match="arguments of Scaled's constructor, but gives 'ratio'"):
        register_interaction("mine", ratio=2)(Scaled)
    with pytest.raises(ValueError, match="that no other interaction has, but 'se' is"):
        register_interaction("se")(Scaled)


def test_a_reloaded_class_takes_its_place():
    register_interaction("scaled")(Scaled)
    again = type("Scaled", (Scaled,), {"__qualname__": "Scaled"})
    register_interaction("scaled")(again)
    assert find_interaction("scaled").layer is again


def test_the_papers_names_are_registered():
    assert set(INTERACTIONS) <= set(registry.interaction_names())
