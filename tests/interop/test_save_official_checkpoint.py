"""The authors' code finds in our files what it would have written itself."""

import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from keras_dla.interop import load_official_checkpoint, save_official_checkpoint
from keras_dla.interop.official_names import official_entries
from keras_dla.models import ResNet
from tests import golden
from tests.backends import on_pytorch
from tests.interop.test_official_checkpoint import checkpoint, small

SUFFIXES = [".pth", ".pth.tar", ".pt", ".safetensors"]
COUNTER = "num_batches_tracked"


def read(path):
    """The tensors of a file, without this package."""
    if path.suffix == ".safetensors":
        return load_file(path)
    tensors = torch.load(path, weights_only=True)
    assert type(tensors) is dict
    assert all(type(tensor) is torch.Tensor for tensor in tensors.values())
    return {name: tensor.numpy() for name, tensor in tensors.items()}


@pytest.mark.parametrize("name", golden.NETWORKS)
def test_the_authors_tensors_come_back_under_their_names(name, tmp_path):
    arrays = golden.part(golden.load_shared(f"cifar_{name}_29"), "state/")
    model = ResNet(29, golden.NETWORKS[name][0], classes=100)
    load_official_checkpoint(model, arrays)
    save_official_checkpoint(model, tmp_path / "weights.safetensors")
    saved = read(tmp_path / "weights.safetensors")
    weights = {name: array for name, array in saved.items() if not name.endswith(COUNTER)}
    assert set(weights) == {name for name in arrays if not name.endswith(COUNTER)}
    for name, array in weights.items():
        assert array.dtype == arrays[name].dtype
        np.testing.assert_array_equal(array, arrays[name])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_round_trip_is_exact(tmp_path, suffix):
    model, other = small(), small()
    tensors = checkpoint(model)
    load_official_checkpoint(model, tensors)
    path = tmp_path / f"weights{suffix}"
    save_official_checkpoint(model, str(path))
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    load_official_checkpoint(other, path)
    for entry in official_entries(other):
        weight = entry.kind.to_torch(keras.ops.convert_to_numpy(entry.variable))
        np.testing.assert_array_equal(weight, tensors[entry.name])


@on_pytorch
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_every_norm_has_the_counter_that_pytorch_asks_for(tmp_path, suffix):
    path = tmp_path / f"weights{suffix}"
    save_official_checkpoint(small("mrla_l"), path)
    tensors = read(path)
    counters = {name for name in tensors if name.endswith(COUNTER)}
    norms = {name for name in tensors if name.endswith("running_mean")}
    assert {name.replace("running_mean", COUNTER) for name in norms} == counters
    assert "layer1.0.bn_mrla.num_batches_tracked" in counters
    for name in counters:
        assert tensors[name].shape == () and tensors[name].dtype == "int64"


def test_a_convolution_a_norm_and_a_classifier_run_in_pytorch(tmp_path):
    """`load_state_dict(strict=True)` takes the names and shapes, and the numbers are ours."""
    images, features = keras.Input((8, 6, 3)), small(None, data_format="channels_last")
    path = tmp_path / "weights.pth"
    save_official_checkpoint(features, path)
    tensors = torch.load(path, weights_only=True)
    stem = torch.nn.Sequential()
    stem.add_module("conv1", torch.nn.Conv2d(3, 16, 3, padding=1, bias=False))
    stem.add_module("bn1", torch.nn.BatchNorm2d(16))
    stem.load_state_dict({k: v for k, v in tensors.items() if k.startswith(("conv1.", "bn1."))})
    fc = torch.nn.Linear(256, 3)
    fc.load_state_dict({"weight": tensors["fc.weight"], "bias": tensors["fc.bias"]})

    x = features.get_layer("stem_bn1")(features.get_layer("stem_conv1")(images))
    pictures = np.random.default_rng(0).normal(size=(2, 8, 6, 3)).astype("float32")
    with torch.no_grad():
        expected = stem.eval()(torch.tensor(pictures.transpose(0, 3, 1, 2))).numpy()
    ours = keras.Model(images, x)(pictures, training=False)
    golden.assert_close(ours, expected.transpose(0, 2, 3, 1), 1e-6)
    vectors = pictures.reshape(-1)[:256][None]
    kernel, bias = map(keras.ops.convert_to_numpy, features.get_layer("classifier").weights)
    with torch.no_grad():
        golden.assert_close(vectors @ kernel + bias, fc(torch.tensor(vectors)).numpy(), 1e-6)


@on_pytorch
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_in_bfloat16(tmp_path, suffix):
    policy = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("bfloat16")
        model, other = small("eca"), small("eca")
    finally:
        keras.config.set_dtype_policy(policy)
    path = tmp_path / f"weights{suffix}"
    save_official_checkpoint(model, path)
    assert read(path)["conv1.weight"].dtype == "float32"
    load_official_checkpoint(other, path)
    for mine, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(np.float32(mine), np.float32(theirs))


@on_pytorch
def test_a_file_that_is_there_is_replaced(tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_text("before")
    save_official_checkpoint(small(None), path)
    assert "fc.bias" in read(path)


@on_pytorch
def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    def fill_the_disk(tensors, file):
        file.write(b"half")
        raise OSError("No space left on device")

    path = tmp_path / "weights.pth"
    path.write_text("before")
    monkeypatch.setattr(torch, "save", fill_the_disk)
    with pytest.raises(OSError, match="No space"):
        save_official_checkpoint(small(None), path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "before"


def check_refused(model, path, *fragments):
    """The error is one sentence with `fragments`, and no file is left."""
    with pytest.raises(ValueError) as caught:
        save_official_checkpoint(model, path)
    message = str(caught.value)
    assert "\n" not in message
    for fragment in fragments:
        assert fragment in message
    assert not path.exists()


@on_pytorch
@pytest.mark.parametrize("name", ["weights.h5", "weights", "weights.tar", "weights.pth.zip"])
def test_another_ending(tmp_path, name):
    check_refused(small(None), tmp_path / name, "`path` must end in .pth, .pth.tar, ", name)


@on_pytorch
def test_a_folder_that_does_not_exist(tmp_path):
    check_refused(
        small(None), tmp_path / "absent" / "weights.pth", "`path` must be in an existing folder"
    )


def test_a_network_of_ones_own_with_names_of_ours(tmp_path):
    x = inputs = keras.Input((8, 8, 3))
    for name in ("stem_conv1", "stage1_block1_conv1"):
        x = keras.layers.Conv2D(2, 1, name=name)(x)
    sentence = r"`model` must have the layers of the authors' network, but 'own' lacks 'stem_bn1'"
    check_refused(keras.Model(inputs, x, name="own"), tmp_path / "weights.pth", sentence)


@on_pytorch
@pytest.mark.parametrize("name", ["cbam", "a2", "aa", "gc", "nl", "ba", "rla_g"])
def test_only_networks_of_the_authors_have_names(tmp_path, name):
    model = small(name)
    sentence = "`model` must be one of the networks the authors published"
    check_refused(model, tmp_path / "weights.pth", sentence)
    with pytest.raises(ValueError, match=sentence):
        load_official_checkpoint(model, checkpoint(small(None)))


def test_weights_without_a_name_are_not_lost_silently(tmp_path):
    trunk = small("dla_l", include_top=False, pooling="avg")
    model = keras.Model(trunk.input, keras.layers.Dense(2, name="own_head")(trunk.output))
    check_refused(model, tmp_path / "weights.pth", "own_head/kernel", "only the weights of")
    with pytest.raises(ValueError, match="own_head/kernel"):
        load_official_checkpoint(model, checkpoint(trunk))


def test_a_model_in_the_formulation_of_the_paper(tmp_path):
    model = small("dla_l", formulation="paper")
    check_refused(model, tmp_path / "weights.pth", "formulation", "'paper'")


@on_pytorch
@pytest.mark.parametrize(
    ("module", "suffix", "hint"),
    [("torch", ".pth", r"keras-dla\[torch\]"), ("safetensors", ".safetensors", "safetensors")],
)
def test_a_missing_package_is_one_sentence(tmp_path, monkeypatch, module, suffix, hint):
    model = small(None)
    for name in (module, f"{module}.numpy"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=f"pip install '?{hint}"):
        save_official_checkpoint(model, tmp_path / f"weights{suffix}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_full_disk_is_an_error_of_the_system(tmp_path, monkeypatch, suffix):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(b"old")

    def full(self, *arguments, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        save_official_checkpoint(small("eca"), path)
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


@on_pytorch
def test_what_would_be_read_as_mrlas_own_network(tmp_path):
    model = ResNet((1, 1), "mrla_b", stem="imagenet", planes=(16, 16), classes=3)
    sentence = (
        "heads of 16 channels and no ReLU after its attention, as MRLA's own ImageNet networks"
    )
    check_refused(model, tmp_path / "weights.safetensors", sentence, "a .weights.h5 file")
