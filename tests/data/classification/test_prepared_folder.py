"""Folders of tensorflow-datasets that are damaged, and data that cannot be downloaded."""

import shutil

import keras
import pytest

from keras_dla.data import imagenet_steps_per_epoch, load_cifar_arrays
from tests.data.classification.test_cifar import prepared as prepared


@pytest.fixture
def damaged(prepared, tmp_path):
    """A copy of the prepared folder, and the file of its test split."""
    folder = tmp_path / "data"
    shutil.copytree(prepared, folder)
    (shard,) = folder.glob("cifar100/3.0.2/*-test*")
    return folder, shard


def flip(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", ["missing", "empty"])
def test_a_missing_file_is_named_before_any_is_read(damaged, damage):
    folder, shard = damaged
    shard.unlink() if damage == "missing" else shard.write_bytes(b"")
    for read in (
        lambda: load_cifar_arrays("cifar100", data_dir=folder),
        lambda: imagenet_steps_per_epoch("train", 1, folder, "cifar100"),
    ):
        with pytest.raises(ValueError, match=f"{shard.name} is missing or empty; prepare the data"):
            read()


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_file_is_one_sentence_with_its_folder(damaged, damage):
    folder, shard = damaged
    content = shard.read_bytes()
    shard.write_bytes(content[: len(content) // 2] if damage == "cut" else flip(content))
    with pytest.raises(ValueError, match=r"cifar100.3\.0\.2 is damaged: prepare the data") as info:
        load_cifar_arrays("cifar100", data_dir=folder)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize("name", ["dataset_info.json", "features.json"])
def test_cut_json_is_named(damaged, name):
    path = damaged[0] / "cifar100" / "3.0.2" / name
    path.write_text(path.read_text()[:40])
    with pytest.raises(ValueError, match=r"3\.0\.2.* is damaged: prepare the data set again"):
        load_cifar_arrays("cifar100", data_dir=damaged[0])


def test_without_a_network_the_other_way_is_said(monkeypatch):
    def no_network():
        raise Exception("URL fetch failure on https://example.org:\nNone -- [Errno -3]")

    monkeypatch.setattr(keras.datasets.cifar10, "load_data", no_network)
    with pytest.raises(ConnectionError, match=r"cifar10 cannot be downloaded .*: give `data_dir`"):
        load_cifar_arrays("cifar10")
