"""Networks and images in files, as a person has them."""

from types import SimpleNamespace

import keras
import pytest

from keras_dla.data import load_blood_cells
from keras_dla.layers import DynamicLayerAttention


def with_layer_attention():
    """A network of three classes whose two layers read each other."""
    images = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(32, 3, 2, activation="relu", name="stem_conv1")(images)
    interaction = DynamicLayerAttention(2, "base", data_format="channels_last", name="stage1_dla")
    state = None
    for index in range(2):
        features = keras.layers.Conv2D(32, 1, name=f"stage1_block{index + 1}_conv1")(x)
        x, state = interaction(features, state, shortcut=x, index=index)
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs = keras.layers.Dense(3, activation="softmax", name="classifier")(x)
    return keras.Model(images, outputs, name="mine")


def mean_of_channels(shape, data_format):
    """A network whose scores are the means of the image's channels."""
    images = keras.Input(shape)
    means = keras.layers.GlobalAveragePooling2D(data_format=data_format)(images)
    return keras.Model(images, means, name="mean")


@pytest.fixture(scope="package")
def files(tmp_path_factory):
    """Paths of small networks (also as `networks`) and of images (also as `pixels`)."""
    image_module = pytest.importorskip("PIL.Image", reason="needs Pillow, which reads images")
    folder = tmp_path_factory.mktemp("files")
    networks = {
        "dla": with_layer_attention(),
        "mean": mean_of_channels((None, None, 3), "channels_last"),
        "mean_first": mean_of_channels((3, 12, 8), "channels_first"),
        "dense": keras.Sequential(
            [keras.Input((4,)), keras.layers.Dense(2, name="dense")], name="dense"
        ),
    }
    paths = {}
    for name, network in networks.items():
        paths[name] = str(folder / f"{name}.keras")
        network.save(paths[name])
    pixels = load_blood_cells()[1][0][[0, 100]]
    images = [str(folder / f"cell{number}.png") for number in range(len(pixels))]
    for path, array in zip(images, pixels, strict=True):
        image_module.fromarray(array).save(path)
    return SimpleNamespace(networks=networks, images=images, pixels=pixels, **paths)


@pytest.fixture
def nonsense(tmp_path):
    """Makes a file that is not what its name says."""

    def make(name):
        path = tmp_path / name
        path.write_bytes(b"nonsense")
        return str(path)

    return make


@pytest.fixture
def fails(capsys):
    """Runs the program and returns the one sentence that it fails with."""
    from keras_dla.cli import main

    def run(*arguments):
        assert main([str(argument) for argument in arguments]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        lines = printed.err.splitlines()
        assert [line for line in lines[:-1] if not line.endswith(" ...")] == []
        head, _, sentence = lines[-1].partition(": error: ")
        assert head == f"keras-dla {arguments[0]}"
        return sentence

    return run
