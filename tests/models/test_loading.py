import h5py
import keras
import numpy as np
import pytest

import keras_dla
from keras_dla.models import ResNet
from tests.backends import on_pytorch

pytestmark = on_pytorch
IMAGES = np.random.default_rng(0).normal(size=(2, 16, 16, 3)).astype("float32")


def small(interaction, depth=20):
    return ResNet(
        depth, interaction, classes=3, input_shape=(16, 16, 3), data_format="channels_last"
    )


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".hdf5"])
@pytest.mark.parametrize("interaction", ["dla_l", "dla_b", "cbam"])
def test_whole_models(tmp_path, interaction, suffix):
    model = small(interaction)
    path = tmp_path / f"model{suffix}"
    model.save(path)
    loaded = keras_dla.load_model(path)
    np.testing.assert_array_equal(
        loaded.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0)
    )


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_compiled_as_it_was_saved(tmp_path, suffix):
    model = keras_dla.training.compile_model(small("se", 11), keras_dla.training.CIFAR, 10)
    model.train_on_batch(IMAGES, np.array([0, 1]))
    model.save(tmp_path / f"model{suffix}")
    loaded = keras_dla.load_model(str(tmp_path / f"model{suffix}"))
    assert type(loaded.optimizer) is type(model.optimizer)
    assert keras_dla.load_model(tmp_path / f"model{suffix}", compile=False).compiled is False


def test_a_class_of_ones_own(tmp_path):
    class Twice(keras.layers.Layer):
        def call(self, inputs):
            return 2 * inputs

    images = keras.Input((4,))
    keras.Model(images, Twice()(images)).save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"model.keras contains 'Twice', which is not"):
        keras_dla.load_model(tmp_path / "model.keras")
    assert keras_dla.load_model(tmp_path / "model.keras", custom_objects={"Twice": Twice})


def test_an_operation_that_h5_files_do_not_know(tmp_path):
    model = small("rla_g", 11)
    model.save(tmp_path / "model.h5")
    with pytest.raises(
        ValueError, match=r"finds only in \.keras files .*call `model.load_weights`"
    ):
        keras_dla.load_model(tmp_path / "model.h5")
    other = small("rla_g", 11)
    other.load_weights(tmp_path / "model.h5")
    np.testing.assert_array_equal(
        other.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0)
    )


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_code_is_not_run(tmp_path, suffix):
    images = keras.Input((4,))
    keras.Model(images, keras.layers.Lambda(lambda x: 2 * x)(images)).save(tmp_path / f"m{suffix}")
    with pytest.raises(ValueError, match="Lambda"):
        keras_dla.load_model(tmp_path / f"m{suffix}")


def test_files_of_other_kinds(tmp_path):
    model = small("se", 11)
    model.save_weights(tmp_path / "model.weights.h5")
    with pytest.raises(ValueError, match=r"are read by `model.load_weights`"):
        keras_dla.load_model(tmp_path / "model.weights.h5")
    with pytest.raises(ValueError, match="must be a whole model's file and end in"):
        keras_dla.load_model(tmp_path / "model.pth")
    with pytest.raises(FileNotFoundError, match="but there is no"):
        keras_dla.load_model(tmp_path / "missing.keras")
    for name, sentence in (("a.keras", "zip archive"), ("a.h5", "must be an HDF5 file")):
        (tmp_path / name).write_bytes(b"no model")
        with pytest.raises(ValueError, match=sentence):
            keras_dla.load_model(tmp_path / name)
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file["kernel"] = np.zeros(3)
    with pytest.raises(ValueError, match="contains only weights"):
        keras_dla.load_model(tmp_path / "weights.h5")
