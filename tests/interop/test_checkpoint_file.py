"""Files as people have them: each is read, or refused in one true sentence, and nothing is run."""

import argparse
import collections
import datetime
import gzip
import json
import os
import pathlib
import pickle
import tarfile
import zipfile

import keras
import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch_file

from keras_dla.interop import load_official_checkpoint
from keras_dla.interop.official_names import official_entries
from keras_dla.interop.tensor_files import read_tensors
from keras_dla.models import ResNet
from tests.backends import on_pytorch

pytestmark = on_pytorch
ARRAYS = {
    "conv1.weight": np.arange(24, dtype="float32").reshape(2, 3, 2, 2),
    "bn1.bias": np.ones(3, "float32"),
}
TENSORS = {name: torch.tensor(array) for name, array in ARRAYS.items()}


class Thing:
    """A class of the writer's own."""


class Runs:
    """Unpickled, it would make a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def bytes_of(writer):
    """Returns what `writer(path)` writes."""

    def write(path):
        writer(path)
        return path.read_bytes()

    return write


def torch_bytes(content, **kwargs):
    return bytes_of(lambda path: torch.save(content, path, **kwargs))


def zip_bytes(*names):
    def write(path):
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, b"x")

    return bytes_of(write)


def tar_bytes(path):
    with tarfile.open(path, "w") as archive:
        archive.add(__file__, "weights.pth")
    return path.read_bytes()


def npz_bytes(**arrays):
    def write(path):
        with path.open("wb") as file:
            np.savez(file, **arrays)

    return bytes_of(write)


def keras_bytes(path):
    keras_model().save(path.with_suffix(".keras"))
    return path.with_suffix(".keras").read_bytes()


def header(**entries):
    text = json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text


def script(path):
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2)), path)


def program(path):
    torch.export.save(torch.export.export(torch.nn.Linear(2, 2), (torch.ones(1, 2),)), path)


def keras_model():
    images = keras.Input((4,))
    return keras.Model(images, keras.layers.Dense(2)(images))


def wrong_shards(path):
    path.write_text(json.dumps({"weight_map": {"w": "absent.safetensors"}}))


SAFE = bytes_of(lambda path: save_file(ARRAYS, path))
ZIP = torch_bytes(TENSORS)
OLD = torch_bytes(TENSORS, _use_new_zipfile_serialization=False)
NPZ = npz_bytes(**ARRAYS)


def cut(write, share):
    return lambda path: (content := write(path))[: int(len(content) * share)]


def broken(write, at):
    """Bytes in the middle are others."""

    def run(path):
        content = bytearray(write(path))
        start = int(len(content) * at)
        content[start : start + 16] = bytes(255 - byte for byte in content[start : start + 16])
        return bytes(content)

    return run


def constant(content):
    return lambda path: content


FP8 = {"w": torch.ones(4).to(torch.float8_e4m3fn)}
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 102400\n"
# By name: what writes the bytes, and what the sentence says.
BAD = {
    "empty": (constant(b""), "is empty"),
    "one byte": (constant(b"\x00"), "of an unknown kind or damaged"),
    "text": (constant(b"hello"), "of an unknown kind or damaged"),
    "noise": (constant(np.random.default_rng(0).bytes(4096)), "of an unknown kind or damaged"),
    "zeros": (constant(bytes(4096)), "of an unknown kind or damaged"),
    "lfs": (constant(POINTER), "is a Git LFS pointer"),
    "html": (constant(b"<!DOCTYPE html><html>404</html>"), "is a web page"),
    "html late": (constant(b"\n\n <html><body>quota</body></html>"), "is a web page"),
    "xml": (constant(b"<?xml version='1.0'?><Error>AccessDenied</Error>"), "is a web page"),
    "json": (constant(b'{"a": 1}'), "not an index of safetensors"),
    "json list": (constant(b'{"weight_map": [1]}'), "not an index of safetensors"),
    "json cut": (constant(b'{"weight_map": {"a": '), "not an index of safetensors"),
    "json deep": (constant(b'{"a":' * 100_000), "not an index of safetensors"),
    "index without parts": (bytes_of(wrong_shards), "names the part 'absent.safetensors'"),
    "index that leads out": (
        constant(b'{"weight_map": {"w": "../../etc/passwd"}}'),
        "names the part '../../etc/passwd', which is not in its folder",
    ),
    "gzip": (constant(gzip.compress(b"x" * 100)), "is an archive: unpack it first"),
    "tar": (tar_bytes, "is an archive: unpack it first"),
    "bzip": (constant(b"BZh91AY&SY"), "is an archive: unpack it first"),
    "zip of images": (zip_bytes("a.png", "b.png"), "is an archive without tensors"),
    "empty zip": (zip_bytes("x"), "is an archive without tensors"),
    "keras": (keras_bytes, "is a whole Keras model"),
    "hdf5": (constant(b"\x89HDF\r\n\x1a\n" + bytes(64)), "is an HDF5 file"),
    "npy": (
        bytes_of(lambda path: path.write_bytes(b"\x93NUMPY\x01\x00" + bytes(64))),
        "is a single NumPy array",
    ),
    "torchscript": (bytes_of(script), "is a TorchScript program"),
    "exported": (bytes_of(program), "is an exported program"),
    **{f"zip cut {s}": (cut(ZIP, s), "is cut off") for s in (0.2, 0.5, 0.9, 0.99)},
    **{f"old cut {s}": (cut(OLD, s), "is damaged, truncated") for s in (0.2, 0.5, 0.9)},
    **{f"npz cut {s}": (cut(NPZ, s), "is cut off") for s in (0.2, 0.5, 0.9)},
    **{f"safetensors cut {s}": (cut(SAFE, s), "cut off") for s in (0.3, 0.7, 0.9, 0.99)},
    "zip broken": (broken(ZIP, 0.05), "damaged"),
    "old broken": (broken(OLD, 0.05), "is damaged"),
    "npz broken": (broken(NPZ, 0.2), "is damaged"),
    "safetensors broken": (broken(SAFE, 0.1), "damaged"),
    "safetensors overlapping": (
        constant(header(a={"dtype": "F32", "shape": [9], "data_offsets": [0, 4]}) + bytes(4)),
        "is damaged",
    ),
    "safetensors huge header": (constant((2**40).to_bytes(8, "little") + b"{"), "unknown kind"),
    "safetensors of nothing": (bytes_of(lambda path: save_file({}, path)), "holds none"),
    "safetensors fp8": (bytes_of(lambda path: save_torch_file(FP8, path)), "in F8_E4M3"),
    "torch fp8": (torch_bytes(FP8), "a quantised type"),
    "pickle": (constant(pickle.dumps(ARRAYS)), "is damaged, truncated or not a checkpoint"),
    "pickle 0": (constant(pickle.dumps({"a": 1}, 0)), "of an unknown kind"),
    "own class": (torch_bytes({"w": torch.ones(2), "args": Thing()}), "test_checkpoint_file.Thing"),
    "own class old": (
        torch_bytes({"args": Thing()}, _use_new_zipfile_serialization=False),
        "contains an object of tests.interop.test_checkpoint_file.Thing besides tensors",
    ),
    "module": (torch_bytes(torch.nn.Linear(2, 2)), "torch.nn.modules.linear.Linear besides"),
    "numpy objects": (npz_bytes(w=np.array([Thing()], object)), "contains Python objects"),
    "numpy array": (torch_bytes({"w": torch.ones(2), "rng": np.ones(3)}), "_reconstruct besides"),
    "torch of nothing": (torch_bytes({}), "holds none"),
    "one tensor": (torch_bytes(torch.ones(2)), "holds none"),
    "list of tensors": (torch_bytes([torch.ones(2)]), "holds none"),
    "an epoch alone": (torch_bytes({"epoch": 3}), "holds none"),
    "an empty state": (torch_bytes({"state_dict": {}}), "holds none"),
    "text in a state": (
        torch_bytes({"w": torch.ones(2), "note": "x"}),
        "must hold numeric tensors",
    ),
    "shadow parameters": (
        torch_bytes({"ema": {"decay": 0.99, "shadow_params": [torch.ones(2)]}}),
        "must hold numeric tensors",
    ),
    "another network": (
        torch_bytes({"state_dict": TENSORS}),
        "2 tensors that do not belong to a ResNet",
    ),
    "names alone": (
        bytes_of(lambda path: save_file({"x": np.ones(2)}, path)),
        "not belong to a ResNet",
    ),
}


@pytest.fixture(scope="module")
def model():
    return ResNet((1,), "eca", classes=2, planes=(4,))


def test_there_are_at_least_sixty():
    assert len(BAD) >= 60


@pytest.mark.parametrize("name", BAD)
def test_bad_files(tmp_path, model, name):
    write, told = BAD[name]
    path = tmp_path / "weights.anything"
    path.write_bytes(write(tmp_path / "written"))
    before = model.get_weights()
    with pytest.raises(ValueError) as caught:
        load_official_checkpoint(model, path)
    message = str(caught.value)
    assert told in message
    assert "\n" not in message
    for mine, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("place", ["beside", "as metric", "nested"])
def test_what_would_run_does_not(tmp_path, place):
    mark = tmp_path / "it_ran"
    content = {
        "beside": {**TENSORS, "x": Runs(mark)},
        "as metric": {"state_dict": TENSORS, "best": {"acc": [Runs(mark)]}},
        "nested": {"args": argparse.Namespace(a=Runs(mark)), "state_dict": TENSORS},
    }[place]
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(ValueError, match=r"contains an object of .*mkdir"):
        read_tensors(tmp_path / "weights.pth")
    assert not mark.exists()


def test_no_permission(tmp_path, monkeypatch):
    path = tmp_path / "weights.pth"
    torch.save(TENSORS, path)

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(pathlib.Path, "open", refuse)
    with pytest.raises(ValueError, match="cannot be read with your permissions"):
        read_tensors(path)


HARMLESS = {
    "best_acc": np.float64(72.3),
    "loss": np.float32(0.5),
    "steps": np.int64(7),
    "args": argparse.Namespace(lr=0.1, milestones=[1, 2], output=pathlib.Path("runs")),
    "path": pathlib.Path("/data/imagenet"),
    "pure": pathlib.PurePosixPath("a/b"),
    "when": datetime.datetime(2024, 6, 19, 12, 30),
    "took": datetime.timedelta(hours=3),
    "history": collections.defaultdict(list, {"loss": [0.1]}),
    "ordered": collections.OrderedDict(a=1),
    "counts": collections.defaultdict(int, a=1),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_things_beside_the_tensors(tmp_path, name):
    path = tmp_path / "weights.ckpt"
    torch.save({"state_dict": TENSORS, name: HARMLESS[name]}, path)
    read = read_tensors(path)
    assert set(read) == set(ARRAYS)
    np.testing.assert_array_equal(read["conv1.weight"], ARRAYS["conv1.weight"])


@pytest.mark.parametrize("name", ["weights", "weights.bin", "weights.h5", "model.tar"])
def test_the_content_decides_and_not_the_name(tmp_path, name):
    for write in (SAFE, ZIP, OLD, NPZ):
        (tmp_path / name).write_bytes(write(tmp_path / "written"))
        assert set(read_tensors(tmp_path / name)) == set(ARRAYS)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.int64])
def test_dtypes(tmp_path, dtype):
    tensors = {name: tensor.to(dtype) for name, tensor in TENSORS.items()}
    save_torch_file(tensors, tmp_path / "a.safetensors")
    torch.save(tensors, tmp_path / "a.pth")
    for name in ("a.safetensors", "a.pth"):
        for key, array in read_tensors(tmp_path / name).items():
            np.testing.assert_array_equal(array, ARRAYS[key])


def test_safetensors_in_several_files(tmp_path):
    places = {}
    for number, (name, array) in enumerate(ARRAYS.items()):
        places[name] = f"model-0000{number}-of-00002.safetensors"
        save_file({name: array}, tmp_path / places[name])
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    assert set(read_tensors(index)) == set(ARRAYS)
    part = tmp_path / places["bn1.bias"]
    part.write_bytes(POINTER)
    with pytest.raises(ValueError, match=r"00001-of-00002.safetensors is a Git LFS pointer"):
        read_tensors(index)


def test_a_whole_network_in_half_precision(tmp_path, model):
    tensors = {
        f"module.{entry.name}": torch.full(entry.torch_shape, 0.5, dtype=torch.bfloat16)
        for entry in official_entries(model)
    }
    save_torch_file(tensors, tmp_path / "half.safetensors")
    load_official_checkpoint(model, tmp_path / "half.safetensors")
    assert all((weight == 0.5).all() for weight in model.get_weights())
