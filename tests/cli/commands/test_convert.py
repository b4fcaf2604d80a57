import keras
import numpy as np
import pytest

import keras_dla.interop
from keras_dla.cli import main
from keras_dla.interop.official_names import official_entries
from keras_dla.models import get_model
from keras_dla.utils.names import EXPORT_SUFFIXES
from tests.layers.stages import randomize


@pytest.fixture(scope="module")
def network():
    return randomize(get_model("mrla_l_11", classes=7))


@pytest.fixture
def checkpoint(network, tmp_path):
    """A file as the authors' code writes it."""
    torch = pytest.importorskip("torch", reason="needs PyTorch, which writes checkpoints")
    tensors = {
        entry.name: torch.tensor(
            entry.kind.to_torch(keras.ops.convert_to_numpy(entry.variable)).copy()
        )
        for entry in official_entries(network)
    }
    path = tmp_path / "best.pth.tar"
    torch.save({"epoch": 3, "state_dict": tensors}, path)
    return path


def equal_weights(one, other):
    pairs = zip(one.get_weights(), other.get_weights(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def test_from_a_checkpoint(network, checkpoint, tmp_path, capsys):
    output = tmp_path / "a.keras"
    assert main(["convert", str(checkpoint), str(output), "--model", "mrla_l_11"]) == 0
    assert capsys.readouterr().out == f"wrote {output}\n"
    loaded = keras.saving.load_model(output)
    assert loaded.name == "mrla_l_11"
    assert loaded.output_shape == (None, 7)
    assert equal_weights(loaded, network)
    assert {path.name for path in tmp_path.iterdir()} == {"a.keras", "best.pth.tar"}


def test_options_reach_the_network(checkpoint, tmp_path):
    options = ("--model", "mrla_l_11", "--formulation", "verbatim")
    assert main(["convert", str(checkpoint), str(tmp_path / "a.keras"), *options]) == 0
    loaded = keras.saving.load_model(tmp_path / "a.keras")
    assert loaded.get_layer("stage1_interaction").formulation == "verbatim"


def test_another_network_changes_nothing(checkpoint, tmp_path, fails):
    output = tmp_path / "a.keras"
    output.write_bytes(b"old")
    command = ("convert", checkpoint, output, "--model", "se_11")
    assert fails(*command) == f"{output} exists; `--force` replaces it."
    assert "must contain the plain ResNet inside 'se_11'" in fails(*command, "--force")
    sentence = fails(*command[:-1], "mrla_l_11", "--force", "--classes", "5")
    assert "fc.weight (7, 256) for (5, 256)" in sentence
    assert output.read_bytes() == b"old"
    assert {path.name for path in tmp_path.iterdir()} == {"a.keras", "best.pth.tar"}


def test_to_a_checkpoint(network, tmp_path):
    pytest.importorskip("safetensors", reason="needs safetensors, which writes the file")
    network.save(tmp_path / "a.keras")
    command = ["convert", str(tmp_path / "a.keras"), str(tmp_path / "a.safetensors")]
    assert main(command) == 0
    other = get_model("mrla_l_11", classes=7)
    keras_dla.interop.load_official_checkpoint(other, tmp_path / "a.safetensors")
    assert equal_weights(other, network)


@pytest.mark.parametrize(
    ("output", "options", "chosen"),
    [
        ("a.onnx", [], "onnx"),
        ("a.tflite", [], "litert"),
        ("folder", ["--format", "tf_saved_model"], "tf_saved_model"),
        ("a.pt2", [], "torch"),
    ],
)
def test_to_an_exported_format(files, tmp_path, monkeypatch, output, options, chosen):
    exported = []
    monkeypatch.setattr(keras_dla.interop, "export_model", lambda *a, **k: exported.append((a, k)))
    command = ["convert", files.dense, str(tmp_path / output), *options]
    assert main(command) == 0
    [((model, path, format_), _)] = exported
    assert (model.name, path, format_) == ("dense", tmp_path / output, chosen)


def test_a_real_export(files, tmp_path, capsys):
    torch = keras.backend.backend() == "torch"
    if not torch:
        pytest.importorskip("tensorflow", reason="needs TensorFlow, which writes SavedModels")
    output = tmp_path / ("a.pt2" if torch else "folder")
    options = [] if torch else ["--format", "tf_saved_model"]
    command = ["convert", files.mean_first, str(output), *options]
    assert main(command) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"wrote {output}"
    assert (output if torch else output / "saved_model.pb").is_file()


def test_another_backend_is_named(files, tmp_path, fails):
    format_ = "litert" if keras.backend.backend() != "tensorflow" else "torch"
    other = "tensorflow" if format_ == "litert" else "torch"
    sentence = fails("convert", files.dense, tmp_path / f"a{EXPORT_SUFFIXES[format_]}")
    assert sentence.startswith(f"`--format` {format_!r} needs the backend {other}")
    assert f" with KERAS_BACKEND={other}" in sentence


def test_a_folder_is_not_replaced(files, tmp_path, fails):
    sentence = f"{tmp_path} is an existing folder; the output must have another name."
    command = ("convert", files.dense, tmp_path, "--format", "tf_saved_model", "--force")
    assert fails(*command) == sentence


def test_a_network_that_the_authors_have_not(files, tmp_path, fails):
    sentence = fails("convert", files.dense, tmp_path / "a.pth")
    assert sentence.startswith("INPUT must be one of the networks the authors published")
    assert not (tmp_path / "a.pth").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["a.h5", "a.keras"], "INPUT must end in .keras, .pth, "),
        (["fly.pth", "a.keras"], "there is no file fly.pth."),
        (["fly.keras", "a.onnx"], "there is no file fly.keras."),
        (["fly.keras", "a.keras"], "OUTPUT must end in .pth, "),
        (["fly.keras", "fly/a.onnx"], "there is no folder fly"),
        (["fly.keras", "a.pth", "--model", "se_20"], "`--model` and its options must not be given"),
        (["{bad}", "a.keras"], "`--model` must name the network that the checkpoint"),
        (["{bad}", "a.onnx", "--model", "se_20"], "OUTPUT must be a .keras file if INPUT is"),
        (["{bad}", "a.keras", "--model", "se_11"], "INPUT must be a file of tensors"),
    ],
)
def test_errors(fails, nonsense, arguments, sentence):
    bad = nonsense("bad.pt")
    assert fails("convert", *(a.format(bad=bad) for a in arguments)).startswith(sentence)
