import hashlib
import json
import shutil

import numpy as np
import pytest

from keras_dla.models.trained_weights import read_arrays, read_card, weight_arrays
from keras_dla.training import pack_weights
from keras_dla.training.experiment import pack_weights as module
from keras_dla.training.run_folder.versions import present_versions
from tests.backends import on_pytorch
from tests.training.finished_runs import ACCURACY, IMAGES, NETWORK, finished_run, instead_of_cifar

# On the others tests/models/test_trained_weights.py packs a run.
pytestmark = on_pytorch


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run, its network, and labels for the eight images in place of CIFAR-10."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    model, labels = finished_run(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "load_cifar_arrays", instead_of_cifar(labels))
        yield folder, model


@pytest.fixture
def changed(run, tmp_path):
    """A copy of the run for tests that damage it."""
    return shutil.copytree(run[0], tmp_path / "changed")


def test_a_run_in_a_file_of_halves_with_its_card(run, tmp_path):
    folder, model = run
    path = pack_weights(folder, tmp_path / "packed")
    stem = f"cifar10-{NETWORK}-official"
    names = [f"{stem}.json", f"{stem}.npz", f"{stem}.predictions.npy"]
    assert sorted(file.name for file in path.parent.iterdir()) == names
    arrays, own = read_arrays(path), weight_arrays(model)
    assert arrays.keys() == own.keys()
    for name, array in arrays.items():
        assert array.dtype == "float16"
        np.testing.assert_array_equal(array, own[name].astype("float16"))
    card = read_card(path)
    assert (card.network, card.classes, card.options) == (NETWORK, 10, {"formulation": "official"})
    assert (card.accuracy, card.test_images, card.run_accuracy) == (ACCURACY, 8, ACCURACY)
    assert (card.checkpoint, card.epoch, card.recipe["epochs"]) == ("last", 2, 2)
    assert card.packed_with == present_versions()
    assert card.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    predicted = np.load(path.with_suffix(".predictions.npy"), allow_pickle=False)
    images, labels = module.ordered_test_images("cifar10")
    np.testing.assert_array_equal(predicted, module.predicted_classes(model, images))
    assert (predicted == labels).mean() == ACCURACY
    with pytest.raises(FileExistsError, match="exists already"):
        pack_weights(folder, tmp_path / "packed")
    pack_weights(folder, tmp_path / "packed", replace=True)


def test_the_best_of_an_unfinished_run(changed, tmp_path):
    settings = json.loads((changed / "settings.json").read_text())
    (changed / "settings.json").write_text(json.dumps({**settings, "epochs": 3}))
    with pytest.raises(ValueError, match=r"finished run, but .* has done 2 of 3 epochs"):
        pack_weights(changed, tmp_path / "packed")
    card = read_card(pack_weights(changed, tmp_path / "packed", checkpoint="best"))
    assert (card.checkpoint, card.epoch, card.recipe["epochs"]) == ("best", 2, 3)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        ({"MOST_BYTES": 1000}, r"must contain a network that packs into 1,000 bytes, but it takes"),
        (
            {"weight_arrays": lambda model: {"a/kernel": np.float32([1e6])}},
            "weights in the range of float16, but a/kernel is too large",
        ),
        (
            {"ordered_test_images": lambda *_: (IMAGES, np.full(8, 11))},
            r"must have the run's test accuracy, 0\.7500, but have 0\.0000",
        ),
    ],
)
def test_what_is_not_packed_leaves_nothing(run, tmp_path, monkeypatch, damage, sentence):
    for name, value in damage.items():
        monkeypatch.setattr(module, name, value)
    with pytest.raises(ValueError, match=sentence):
        pack_weights(run[0], tmp_path / "packed")
    assert list((tmp_path / "packed").iterdir()) == []


def test_folders_that_are_no_runs(changed, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"must be the folder of a run"):
        pack_weights(tmp_path, tmp_path / "packed")
    (changed / "best.keras").unlink()
    with pytest.raises(FileNotFoundError, match=r"has no best\.keras"):
        pack_weights(changed, tmp_path / "packed", checkpoint="best")
    with pytest.raises(ValueError, match="`checkpoint` must be"):
        pack_weights(changed, tmp_path / "packed", checkpoint="first")
    assert not (tmp_path / "packed").exists()
