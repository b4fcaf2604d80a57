"""Trained weights that come with the package, and files that were packed in the same way."""

import hashlib
import shutil

import numpy as np
import pytest

from keras_dla.models import ResNet, get_model, trained_weights
from keras_dla.models.trained_weights import FOLDER, shipped_weights, weight_arrays
from keras_dla.training import pack_weights
from keras_dla.training.experiment import pack_weights as module
from tests.backends import THOROUGH, all_on_pytorch, on_pytorch
from tests.data.shared import shared_path
from tests.training.finished_runs import finished_run, instead_of_cifar

SHIPPED = sorted(path.name for path in shipped_weights())
# Of the 10,000 test images.
FEW = None if THOROUGH else 1000


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The path of a packed file, the run's own network, and the labels of its test images."""
    parent = tmp_path_factory.mktemp("packed")
    model, labels = finished_run(parent / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "load_cifar_arrays", instead_of_cifar(labels))
        return pack_weights(parent / "run", parent / "trained"), model, labels


@pytest.fixture
def packed(made, monkeypatch):
    """The path of a file, in the folder in which the package looks, and the run's own network."""
    path, model, labels = made
    monkeypatch.setattr(module, "load_cifar_arrays", instead_of_cifar(labels))
    monkeypatch.setattr(trained_weights, "FOLDER", path.parent)
    return path, model


def equal(model, own):
    """Whether a model has the weights of another, rounded; its classifier may be missing."""
    arrays, rounded = weight_arrays(model), weight_arrays(own)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, rounded[name].astype("float16"))
    return len(rounded) - len(arrays)


def test_a_network_of_the_same_settings_gets_the_weights(packed):
    path, own = packed
    for ending in (".npz", ".json"):  # of a process that was killed
        (path.parent / f".partial-{path.stem}{ending}").write_text("half")
    assert equal(get_model("dla_l_11", classes=10, weights="cifar10"), own) == 0
    assert equal(ResNet((1, 1, 1), "dla_l", weights="cifar10", include_top=False), own) == 2
    assert equal(ResNet(11, "dla_l", classes=10, drop_path=0.3, weights=path), own) == 0


@on_pytorch
@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"formulation": "verbatim"}, "its formulation is 'official', not 'verbatim'"),
        ({"reduction": 8}, "its reduction is 4, not 8"),
        ({"unit": "dsu_tanh"}, "its unit is 'dsu', not 'dsu_tanh'"),
        ({"classes": 100}, "it has 10 classes"),
        ({"depth": 20}, "stage1_.* of shape .* is not in it"),
        ({"interaction": "mrla_l"}, "its interaction is DynamicLayerAttention"),
        ({"interaction": None}, "its interaction is DynamicLayerAttention"),
    ],
)
def test_other_networks_are_told_which_have_weights(packed, changes, difference):
    network = {"depth": 11, "interaction": "dla_l", "classes": 10} | changes
    sentence = rf"is 'cifar10': trained weights for cifar10 come for dla_l_11 \({difference}\)"
    with pytest.raises(ValueError, match=sentence):
        ResNet(**network, weights="cifar10")
    with pytest.raises(ValueError, match=f"is of dla_l_11 for cifar10: {difference}"):
        ResNet(**network, weights=packed[0])


@on_pytorch
def test_names_without_weights(packed):
    with pytest.raises(ValueError, match="weights for cifar100 do not come yet"):
        ResNet(11, "dla_l", weights="cifar100")
    sentence = r"nobody has published 'imagenet' weights .*load_pretrained_resnet\(model, file\)"
    with pytest.raises(ValueError, match=sentence):
        ResNet(11, "dla_l", weights="imagenet")
    with pytest.raises(ValueError, match=r"the name of a data set .* is 'cifar1000'"):
        ResNet(11, "dla_l", weights="cifar1000")


@on_pytorch
def test_damaged_files(packed, tmp_path):
    for file in packed[0].parent.iterdir():
        shutil.copy(file, tmp_path)
    path = tmp_path / packed[0].name
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match=r"`weights` must be an archive of arrays, but .*damaged"):
        ResNet(11, "dla_l", classes=10, weights=path)
    path.with_suffix(".json").write_text("{}")
    with pytest.raises(ValueError, match=r"must have a card in the same folder, but .* damaged"):
        ResNet(11, "dla_l", classes=10, weights=path)


@pytest.mark.parametrize("name", all_on_pytorch(SHIPPED, elsewhere=1))
def test_shipped_weights_predict_what_their_card_says(name):
    path = FOLDER / name
    card = shipped_weights()[path]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == card.sha256
    assert path.stat().st_size <= module.MOST_BYTES
    folder = shared_path("data", "tensorflow_datasets", card.dataset).parent
    model = get_model(card.network, classes=card.classes, weights=card.dataset, **card.options)
    images, labels = module.ordered_test_images(card.dataset, folder)
    predicted = module.predicted_classes(model, images[:FEW])
    stored = np.load(path.with_suffix(".predictions.npy"), allow_pickle=False)
    assert (stored == labels).mean() == pytest.approx(card.accuracy, abs=1e-9)
    # Another backend rounds otherwise, which turns the closest decisions.
    assert (predicted == stored[:FEW]).mean() > 0.995
