import os
import pickle

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from keras_dla.interop.tensor_files import read_tensors
from tests.backends import on_pytorch

pytestmark = on_pytorch

ARRAYS = {
    "conv1.weight": np.arange(24, dtype="float32").reshape(2, 3, 2, 2),
    "bn1.bias": np.ones(3, "float32"),
}


def as_torch(arrays, prefix=""):
    return {prefix + name: torch.tensor(array) for name, array in arrays.items()}


def check(tensors, expected=ARRAYS):
    assert set(tensors) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(tensors[name], array)


@pytest.mark.parametrize("suffix", [".pth", ".pth.tar", ".pt"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_state_dict(tmp_path, suffix, prefix):
    path = tmp_path / f"weights{suffix}"
    torch.save(as_torch(ARRAYS, prefix), path)
    check(read_tensors(path))
    check(read_tensors(str(path)))


def test_a_training_checkpoint(tmp_path):
    """As the authors write it: the state inside, an epoch and the optimiser beside."""
    path = tmp_path / "model_best.pth.tar"
    parameter = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([parameter], lr=0.1, momentum=0.9)
    parameter.sum().backward()
    optimizer.step()
    content = {
        "epoch": 180,
        "arch": "dla_l",
        "best_acc": torch.tensor(72.26),
        "state_dict": as_torch(ARRAYS, "module."),
        "optimizer": optimizer.state_dict(),
    }
    torch.save(content, path)
    check(read_tensors(path))


def test_the_format_before_zip_files(tmp_path):
    path = tmp_path / "old.pth"
    torch.save(as_torch(ARRAYS), path, _use_new_zipfile_serialization=False)
    check(read_tensors(path))


def test_safetensors(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({f"module.{name}": array for name, array in ARRAYS.items()}, path)
    check(read_tensors(path))


def test_mappings():
    check(read_tensors(ARRAYS))
    check(read_tensors({"state_dict": ARRAYS, "epoch": 3}))
    check(read_tensors(as_torch(ARRAYS, "module.")))
    trained = {name: tensor.requires_grad_() for name, tensor in as_torch(ARRAYS).items()}
    check(read_tensors(trained))


def test_bfloat16_and_integers():
    tensors = {"w": torch.tensor([0.5, -3.0], dtype=torch.bfloat16), "steps": torch.tensor(7)}
    read = read_tensors(tensors)
    assert read["w"].dtype == np.float32
    np.testing.assert_array_equal(read["w"], [0.5, -3.0])
    assert read["steps"] == 7


class Hostile:
    """Unpickled, it would make a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_hostile_pickle_is_not_run(tmp_path):
    mark = tmp_path / "it_ran"
    for name, legacy in (("zip.pth", False), ("legacy.pth.tar", True)):
        content = {**as_torch(ARRAYS), "extra": Hostile(mark)}
        torch.save(content, tmp_path / name, _use_new_zipfile_serialization=not legacy)
    (tmp_path / "bare.pt").write_bytes(pickle.dumps({"w": Hostile(mark)}))
    for name in ("zip.pth", "legacy.pth.tar", "bare.pt"):
        what = (
            "is damaged" if name == "bare.pt" else "contains an object of .*mkdir besides tensors"
        )
        with pytest.raises(ValueError, match=f"{name} {what}"):
            read_tensors(tmp_path / name)
    assert not mark.exists()
    # The file is as hostile as it claims.
    torch.load(tmp_path / "zip.pth", weights_only=False)
    assert mark.exists()


@pytest.mark.parametrize("name", ["model.pth", "model.pth.tar", "model.pt", "model.safetensors"])
@pytest.mark.parametrize("damage", ["empty", "truncated", "noise", "text"])
def test_damaged_files(tmp_path, name, damage):
    path = tmp_path / name
    if name.endswith("safetensors"):
        save_file(ARRAYS, path)
    else:
        torch.save(as_torch(ARRAYS), path)
    content = path.read_bytes()
    noise = np.random.default_rng(0).bytes(len(content))
    damaged = {
        "empty": b"",
        "truncated": content[: len(content) // 2],
        "noise": noise,
        "text": b"<html>404</html>",
    }
    path.write_bytes(damaged[damage])
    with pytest.raises(ValueError) as caught:
        read_tensors(path)
    message = str(caught.value)
    assert message.startswith("`path_or_mapping` must be a file of tensors, but ")
    assert str(path) in message
    assert "\n" not in message


def test_a_model_instead_of_its_state(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "model.pth")
    with pytest.raises(ValueError, match="must be a file of tensors"):
        read_tensors(tmp_path / "model.pth")
    torch.save(torch.ones(2), tmp_path / "tensor.pth")
    with pytest.raises(ValueError, match="must hold tensors by name"):
        read_tensors(tmp_path / "tensor.pth")


def test_files_that_are_no_checkpoint(tmp_path):
    with pytest.raises(ValueError, match=r"an existing file, but there is no .*absent.pth"):
        read_tensors(tmp_path / "absent.pth")
    with pytest.raises(ValueError, match="must be an existing file"):
        read_tensors(tmp_path)
    (tmp_path / "model.h5").write_bytes(b"x")
    sentence = r"must be a file of tensors, but .*model.h5 is of an unknown kind"
    with pytest.raises(ValueError, match=sentence):
        read_tensors(tmp_path / "model.h5")


@pytest.mark.parametrize("mapping", [{}, {"state_dict": {}}, {"state_dict": 3}])
def test_mappings_without_tensors(mapping):
    with pytest.raises(ValueError) as caught:
        read_tensors(mapping)
    expected = "`path_or_mapping` must hold tensors by name, but the mapping holds none."
    assert str(caught.value) == expected


@pytest.mark.parametrize("value", ["text", object(), {"a": 1}])
def test_values_that_are_no_tensors(value):
    with pytest.raises(ValueError, match="must hold numeric tensors, but 'w' of the mapping has"):
        read_tensors({"w": value})
