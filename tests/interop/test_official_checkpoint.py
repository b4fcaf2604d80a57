"""A checkpoint is loaded whole or not at all."""

import keras
import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from keras_dla.interop import load_official_checkpoint
from keras_dla.interop.official_names import official_entries
from keras_dla.layers import MRLABase
from keras_dla.models import ResNet
from tests.backends import all_on_pytorch, on_pytorch
from tests.layers.interaction.test_layer_interaction import RunningMean

NETWORKS = [None, "se", "eca", "dianet", "mrla_b", "mrla_l", "dla_b", "dla_l"]


def checkpoint(model, prefix="", seed=0):
    """A random tensor for every weight of `model`, under its name in the authors' code."""
    rng = np.random.default_rng(seed)
    return {
        prefix + entry.name: rng.normal(size=entry.torch_shape).astype("float32")
        for entry in official_entries(model)
    }


def small(name="dla_l", **kwargs):
    return ResNet(11, name, classes=3, **kwargs)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_weight_has_a_name_and_gets_its_tensor(name):
    model = small(name)
    entries = official_entries(model)
    of_seeds = sum("seed_generator" in weight.path for weight in model.weights)
    assert len(entries) == len({entry.name for entry in entries}) == len(model.weights) - of_seeds
    assert len({id(entry.variable) for entry in entries}) == len(entries)
    tensors = checkpoint(model)
    load_official_checkpoint(model, tensors)
    for entry in entries:
        weight = keras.ops.convert_to_numpy(entry.variable)
        np.testing.assert_array_equal(entry.kind.to_torch(weight), tensors[entry.name])


def test_axes_of_a_convolution_a_linear_map_and_a_depthwise_kernel():
    model = small("dla_b")
    tensors = checkpoint(model)
    load_official_checkpoint(model, tensors)
    interaction = model.get_layer("stage1_interaction")
    pairs = [
        (model.get_layer("stem_conv1").kernel, "conv1.weight", (2, 3, 1, 0)),
        (model.get_layer("classifier").kernel, "fc.weight", (1, 0)),
        (
            interaction.unit.hidden_gates.expand_kernel,
            "stages.0.lstm.w_hh.0.seq.2.weight",
            (1, 0),
        ),
    ]
    for weight, name, axes in pairs:
        expected = tensors[name].transpose(axes)
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(weight), expected)
    name = "stages.0.attention.0.layer_attention.layer_attention.Wv.weight"
    kernel = keras.ops.convert_to_numpy(interaction.attention.values[0].kernel)
    np.testing.assert_array_equal(kernel, tensors[name][:, 0].transpose(1, 2, 0))


@pytest.mark.parametrize("kind", all_on_pytorch([".pth.tar", ".pth", ".safetensors"], 1))
def test_from_files(tmp_path, kind):
    model = small()
    tensors = checkpoint(model, "module.")
    path = tmp_path / f"weights{kind}"
    if kind == ".safetensors":
        save_file(tensors, path)
    else:
        state = {name: torch.tensor(array) for name, array in tensors.items()}
        state["module.bn1.num_batches_tracked"] = torch.tensor(3)
        torch.save({"epoch": 3, "state_dict": state, "optimizer": {"lr": 0.1}}, path)
    load_official_checkpoint(model, path)
    for entry in official_entries(model):
        weight = entry.kind.to_torch(keras.ops.convert_to_numpy(entry.variable))
        np.testing.assert_array_equal(weight, tensors[f"module.{entry.name}"])


@on_pytorch
def test_imagenet_names():
    model = ResNet(50, "dla_l", stem="imagenet", classes=2)
    names = {entry.name for entry in official_entries(model)}
    assert {
        "conv1.weight",
        "layer4.layers.2.conv3.weight",
        "layer1.layers.0.downsample.1.running_var",
        "layer3.attention.5.layer_attention.mrla.Wq.weight",
        "layer2.attention.0.layer_attention.lambda_t",
        "layer1.attention.0.bn_layer_attention.bias",
        "layer4.lstm.w_ih.0.seq.0.weight",
        "layer2.extict.weight",
        "fc.bias",
    } <= names


def check_refused(model, source, *fragments):
    """The error is one sentence with `fragments`, and every weight is what it was."""
    before = model.get_weights()
    with pytest.raises(ValueError) as caught:
        load_official_checkpoint(model, source)
    message = str(caught.value)
    assert "\n" not in message
    for fragment in fragments:
        assert fragment in message
    for mine, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_missing_tensor():
    model = small()
    tensors = checkpoint(model)
    del tensors["fc.bias"]
    check_refused(model, tensors, "fc.bias missing.")


@on_pytorch
def test_a_tensor_left_over():
    model = small()
    tensors = {**checkpoint(model), "head.weight": np.ones(3)}
    check_refused(model, tensors, "head.weight left over.")


@on_pytorch
def test_a_tensor_of_another_shape():
    model = small()
    tensors = {**checkpoint(model), "fc.weight": np.ones((5, 256), "float32")}
    check_refused(model, tensors, "fc.weight (5, 256) for (3, 256) of another shape.")


@on_pytorch
def test_many_problems_are_counted():
    model = small()
    tensors = checkpoint(model)
    for name in list(tensors)[:10]:
        tensors[f"other.{name}"] = tensors.pop(name)
    check_refused(model, tensors, "and 7 more missing; ", "and 7 more left over.")


@on_pytorch
@pytest.mark.parametrize("other", [None, "mrla_l"])
def test_the_checkpoint_of_another_network(other):
    check_refused(small("dla_l"), checkpoint(small(other)), " missing; ", " left over.")


@on_pytorch
def test_the_checkpoint_of_the_other_variant():
    """DLA-B's tensors are DLA-L's without lambda and the stage's depthwise kernel."""
    tensors = checkpoint(small("dla_b"))
    check_refused(small("dla_l"), tensors, "lambda_t, stages.0.excite.weight, ", " missing.")
    check_refused(small("dla_b"), checkpoint(small("dla_l")), " left over.")


@on_pytorch
def test_the_checkpoint_of_another_depth():
    check_refused(small(), checkpoint(ResNet(20, "dla_l", classes=3)), "left over")


@on_pytorch
def test_files_that_cannot_be_read(tmp_path):
    model = small()
    path = tmp_path / "truncated.pth"
    torch.save({name: torch.tensor(a) for name, a in checkpoint(model).items()}, path)
    path.write_bytes(path.read_bytes()[:-1000])
    check_refused(model, path, "truncated.pth is cut off")
    check_refused(model, tmp_path / "absent.pth", "there is no")


@on_pytorch
def test_values_that_are_not_numbers_of_a_tensor():
    model = small()
    tensors = {**checkpoint(model), "fc.bias": "text"}
    check_refused(model, tensors, "must hold numeric tensors, but 'fc.bias'")


@on_pytorch
def test_models_that_the_authors_did_not_publish():
    sentence = "`model` must be one of the networks the authors published"
    own = ResNet(11, RunningMean(1), classes=3)
    check_refused(own, checkpoint(small(None)), sentence)
    inputs = keras.Input((4,))
    check_refused(keras.Model(inputs, keras.layers.Dense(2)(inputs)), {"w": np.ones(2)}, sentence)


@on_pytorch
def test_a_model_in_the_formulation_of_the_paper():
    model = small("dla_l", formulation="paper")
    check_refused(model, checkpoint(small("dla_l")), "formulation", "'paper'")
    # MRLA-L has the same weights in every formulation.
    model = small("mrla_l", formulation="paper")
    load_official_checkpoint(model, checkpoint(model))


@on_pytorch
def test_a_unit_that_the_authors_did_not_publish():
    model = small("dla_l", unit="lstm")
    check_refused(model, checkpoint(small("dla_l")), "but has LSTMUnit")


@on_pytorch
def test_without_the_top():
    model = small(include_top=False)
    tensors = checkpoint(model)
    assert "fc.weight" not in tensors
    load_official_checkpoint(model, tensors)


WRAPPED = [
    ({}, "module.", None),
    ({}, "_orig_mod.module.", None),
    ({}, "model.backbone.", None),
    ({}, "net.encoder.", None),
    ({"model": None}, "", None),
    ({"model_state_dict": None, "epoch": 3}, "module.", None),
    ({"net": None, "acc": 70.1}, "", None),
    ({"ema": {"module": None}}, "", None),
    ({"state_dict": "other", "state_dict_ema": None}, "", "averaged"),
    ({"state_dict": None, "state_dict_ema": "other"}, "", "raw"),
    ({"state_dict": None, "model_ema": "other"}, "", None),
]


@pytest.mark.parametrize(("container", "prefix", "which"), all_on_pytorch(WRAPPED, 1))
def test_containers_and_prefixes(container, prefix, which):
    model = small()
    tensors, other = checkpoint(model), checkpoint(model, seed=1)
    wrapped = {prefix + name: tensor for name, tensor in tensors.items()}

    def filled(value):
        if isinstance(value, dict):
            return {name: filled(inner) for name, inner in value.items()}
        return wrapped if value is None else other if value == "other" else value

    load_official_checkpoint(model, filled(container) if container else wrapped, which)
    for entry in official_entries(model):
        weight = entry.kind.to_torch(keras.ops.convert_to_numpy(entry.variable))
        np.testing.assert_array_equal(weight, tensors[entry.name])


@on_pytorch
def test_a_choice_that_the_checkpoint_does_not_offer():
    model = small()
    with pytest.raises(ValueError, match="it has no averaged weights"):
        load_official_checkpoint(model, {"state_dict": checkpoint(model)}, "averaged")


@on_pytorch
def test_a_detectors_backbone_with_its_spelling():
    model = ResNet(
        (1, 1), "dla_l", stem="imagenet", planes=(16, 16), include_top=False, reduction=20
    )
    tensors = checkpoint(model)
    spelled = {f"backbone.{n.replace('extict', 'excite')}": t for n, t in tensors.items()}
    load_official_checkpoint(model, {**spelled, "neck.conv.weight": np.ones((2, 2))})
    for entry in official_entries(model):
        weight = entry.kind.to_torch(keras.ops.convert_to_numpy(entry.variable))
        np.testing.assert_array_equal(weight, tensors[entry.name])
    other = ResNet((1, 1), "dla_l", stem="imagenet", planes=(16, 16), include_top=False)
    check_refused(other, spelled, "is a DLA ResNet with 1-1 blocks with reduction=21")


@on_pytorch
def test_the_message_says_first_what_the_file_is():
    plain = checkpoint(small(None))
    check_refused(
        small(), plain, "but is a CIFAR ResNet-11 for 3 classes", "load_pretrained_resnet"
    )
    basic = {name: t for name, t in plain.items() if "conv3" not in name}
    check_refused(small(None), basic, "BasicBlocks of two convolutions")


@on_pytorch
def test_mrlas_own_imagenet_network():
    arguments = {"stem": "imagenet", "planes": (16, 16), "classes": 3}
    tensors = checkpoint(ResNet((1, 1), "mrla_b", **arguments))
    sentence = "heads of 32 and the ReLU: build it with keras_dla.layers.MRLABase"
    check_refused(ResNet((1, 1), "mrla_b", **arguments), tensors, sentence)
    theirs = MRLABase(1, head_size=16, rectify=False)
    load_official_checkpoint(ResNet((1, 1), theirs, **arguments), tensors)
