"""A damaged or hostile state is refused in a sentence, and nothing in it runs."""

import zipfile

import keras
import numpy as np
import pytest

from keras_dla.training import EpochCheckpoint, load_last
from tests.backends import on_pytorch
from tests.training import tiny


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    tiny.run(folder, 1)
    return folder


@on_pytorch
@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "text", "other"])
def test_damage_is_one_sentence(whole, tmp_path, damage):
    content = (whole / "last.keras").read_bytes()
    middle = len(content) // 2
    (tmp_path / "last.keras").write_bytes(
        {
            "cut": content[:middle],
            "flipped": content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :],
            "empty": b"",
            "text": b"not a checkpoint",
            "other": _archive_without_record(tmp_path),
        }[damage]
    )
    with pytest.raises(ValueError, match=r"last\.keras cannot be read and may be damaged") as info:
        load_last(tmp_path)
    assert "\n" not in str(info.value)


def _archive_without_record(folder):
    path = folder / "other.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    return path.read_bytes()


@on_pytorch
def test_nothing_in_a_checkpoint_is_executed(tmp_path):
    """A model with a lambda in it is refused, as Keras's safe mode does."""
    layers = [keras.layers.Dense(2), keras.layers.Lambda(lambda x: x)]
    model = keras.Sequential([keras.Input((2,)), *layers])
    model.compile("sgd", "mse")
    x = np.ones((4, 2), "float32")
    saver = EpochCheckpoint(tmp_path, monitor=None)
    model.fit(x, x, epochs=1, verbose=0, callbacks=[saver])
    with pytest.raises(ValueError, match=r"last\.keras cannot be read"):
        load_last(tmp_path)
