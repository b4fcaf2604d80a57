import io
import pickle

import keras
import numpy as np
import pytest

from keras_dla.data import load_cifar_arrays


def four_arrays():
    images = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), "uint8")
    labels = np.arange(6, dtype="uint8")
    return {"x_train": images, "y_train": labels, "x_test": images[:2], "y_test": labels[:2]}


def check(loaded, arrays):
    (x_train, y_train), (x_test, y_test) = loaded
    for part, key in ((x_train, "x_train"), (x_test, "x_test")):
        np.testing.assert_array_equal(part, arrays[key])
        assert part.dtype == np.uint8
    for part, key in ((y_train, "y_train"), (y_test, "y_test")):
        np.testing.assert_array_equal(part, arrays[key])
        assert part.dtype == np.int64


@pytest.mark.parametrize("column", [False, True])
def test_npz(tmp_path, column):
    arrays = four_arrays()
    written = dict(arrays)
    if column:
        written |= {key: arrays[key][:, None] for key in ("y_train", "y_test")}
    np.savez_compressed(tmp_path / "cifar.npz", **written)
    check(load_cifar_arrays("cifar10", source=tmp_path / "cifar.npz"), arrays)


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_keras_datasets(monkeypatch, name):
    arrays = four_arrays()
    downloaded = (
        (arrays["x_train"], arrays["y_train"][:, None]),
        (arrays["x_test"], arrays["y_test"][:, None]),
    )
    monkeypatch.setattr(getattr(keras.datasets, name), "load_data", lambda: downloaded)
    check(load_cifar_arrays(name), arrays)


def test_unknown_name():
    with pytest.raises(
        ValueError, match=r"`name` must be one of 'cifar10', 'cifar100', but is 'mnist'"
    ):
        load_cifar_arrays("mnist")


def test_two_sources(tmp_path):
    with pytest.raises(ValueError, match="`source` must be None if `data_dir`"):
        load_cifar_arrays(source=tmp_path / "a.npz", data_dir=tmp_path)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"`source`.*nowhere\.npz"):
        load_cifar_arrays(source=tmp_path / "nowhere.npz")


class Trap:
    """Fails the test if it is ever unpickled."""

    def __reduce__(self):
        return pytest.fail, ("a pickle was executed",)


def test_a_pickle_is_refused(tmp_path):
    path = tmp_path / "hostile.npz"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ValueError, match=r"must be an \.npz archive"):
        load_cifar_arrays(source=path)


def test_a_pickled_array_is_refused(tmp_path):
    path = tmp_path / "hostile.npz"
    np.savez(path, **(four_arrays() | {"y_test": np.array([Trap()], dtype=object)}))
    with pytest.raises(ValueError, match=r"archive of plain arrays.*hostile\.npz"):
        load_cifar_arrays(source=path)


def test_a_damaged_archive_is_refused(tmp_path):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **four_arrays())
    damaged = bytearray(buffer.getvalue())
    damaged[2000:2100] = bytes(100)
    path = tmp_path / "damaged.npz"
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"archive of plain arrays.*damaged\.npz"):
        load_cifar_arrays(source=path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"y_test": None}, "lacks y_test"),
        ({"x_train": np.zeros((6, 32, 32, 3))}, "`x_train` must be a uint8 array.*float64"),
        ({"y_train": np.arange(5)}, "`x_train` and `y_train`.*but have 6 and 5"),
        ({"y_test": np.zeros((2, 10), int)}, r"`y_test` must be an integer array.*\(2, 10\)"),
    ],
)
def test_wrong_arrays_are_named(tmp_path, changed, message):
    arrays = {key: value for key, value in (four_arrays() | changed).items() if value is not None}
    np.savez(tmp_path / "wrong.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        load_cifar_arrays(source=tmp_path / "wrong.npz")
