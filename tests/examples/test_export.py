"""The script that exports and compares, and the table in the documentation."""

import numpy as np
import pytest

from keras_dla.models import ResNet
from tests.backends import on_pytorch
from tests.interop.exports import BACKEND, ROOT, load_example
from tests.interop.test_every_export import CASES
from tests.interop.test_exporting import ELSEWHERE

# What every backend can write and run without another package.
FORMAT = {"torch": "torch", "tensorflow": "tf_saved_model", "jax": "tf_saved_model"}[BACKEND]


@pytest.fixture
def keras_file(tmp_path):
    model = ResNet(
        11, "dla_b", classes=4, input_shape=(12, 12, 3), data_format="channels_last", name="trained"
    )
    model.save(tmp_path / "trained.keras")
    return str(tmp_path / "trained.keras")


@on_pytorch
def test_exports_a_saved_model_and_compares(keras_file, tmp_path, monkeypatch, capsys):
    if BACKEND == "jax":
        pytest.importorskip("tensorflow", reason="JAX writes a SavedModel through TensorFlow")
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).normal(size=(4, 12, 12, 3))
    np.save("images.npy", images)
    load_example().main([keras_file, "--format", FORMAT, "--images", "images.npy"])
    printed = capsys.readouterr().out
    assert "outputs of 4 images differ from Keras's by " in printed
    assert float(printed.split()[-1]) < 1e-4
    assert any(path.stem == "trained" and path.suffix != ".keras" for path in tmp_path.iterdir())


def test_a_difference_is_seen():
    script = load_example()
    model = ResNet(11, classes=4, input_shape=(12, 12, 3), data_format="channels_last")
    x = np.ones((2, 12, 12, 3), "float32")
    assert script.largest_difference(model, lambda x: np.ones((2, 4)), x) > 0.1


def test_bad_input_is_one_sentence(keras_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main = load_example().main
    with pytest.raises(SystemExit, match=r"error: `format` .* needs the backend"):
        main([keras_file, "--format", ELSEWHERE[0]])
    with pytest.raises(SystemExit, match="error: `name` must be one of"):
        main(["dla_x_20", "--format", FORMAT])
    with pytest.raises(SystemExit, match="missing"):
        main(["missing.keras", "--format", FORMAT])
    assert [path.name for path in tmp_path.iterdir()] == ["trained.keras"]


def test_the_documented_table_is_the_one_that_holds(capsys):
    """And the networks it speaks of are those of `tests/interop/test_every_export.py`."""
    load_example().main(["--table"])
    documented = (ROOT / "docs" / "exports.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out.strip() in documented
    assert "All fifteen networks are tested in every format of the table" in documented
    assert len({name for name, _, _ in CASES}) == 15


@on_pytorch
def test_no_memory_is_a_sentence(monkeypatch):
    def allocate(*_):
        raise MemoryError

    script = load_example()
    monkeypatch.setattr(script, "load_network", allocate)
    with pytest.raises(SystemExit, match=r"^There is not enough memory: smaller images or "):
        script.main(["dla_l_20"])
