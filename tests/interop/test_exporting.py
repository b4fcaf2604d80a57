"""What is exported computes what Keras computes, for any batch."""

import functools
import importlib.util
import re
from pathlib import Path

import keras
import pytest

from keras_dla.interop import export_model
from keras_dla.interop.exporting import FORMATS
from tests.backends import all_on_pytorch
from tests.interop import exports
from tests.interop.exports import (
    BACKEND,
    FREE,
    HERE,
    ROOT,
    assert_computes,
    exported,
    images,
    traced_once,  # noqa: F401, a fixture
)

ELSEWHERE = [name for name in FORMATS if name not in HERE]
NETWORKS = {
    "dla_l": {"input_shape": FREE, "drop_path": 0.5},
    "dla_b": {},
    "cbam": {},
    "dianet": {},
    "se": {},
    "mrla_l": {},
    "mrla_b": {},
    None: {},
}
# The last five compute with what the others or plain layers do: every network in one format, the
# first three in the others. No other backend writes all of TensorFlow's formats.
EXPORTED = [
    (format, name)
    for format in HERE
    for name in ([*NETWORKS] if format in ("tf_saved_model", "torch") else [*NETWORKS][:3])
]
EXPORTED = EXPORTED if BACKEND == "tensorflow" else all_on_pytorch(EXPORTED, 1)


@functools.cache
def network(name):
    return exports.network(name, **NETWORKS[name])


@pytest.mark.parametrize(("format", "name"), EXPORTED)
def test_computes_what_keras_does_for_any_batch(tmp_path, format, name):
    path = tmp_path / ("network" + FORMATS[format].suffix)
    run = exported(network(name), path, format, verify=name == "se")
    assert list(tmp_path.iterdir()) == [path]
    for batch in (1, 3, 7):
        assert_computes(run, network(name), images(batch))
    if network(name).input_shape[1] is None:
        assert_computes(run, network(name), images(2, (9, 14, 3)))


@pytest.mark.parametrize("format", [name for name in HERE if FORMATS[name].suffix])
def test_replaces_a_file_and_names_no_folder_of_this_machine(tmp_path, format):
    path = tmp_path / ("network" + FORMATS[format].suffix)
    path.write_text("old")
    exported(network(None), path, format)
    assert list(tmp_path.iterdir()) == [path]
    content = path.read_bytes()
    assert len(content) > 1000
    assert str(ROOT).encode() not in content
    assert str(Path(keras.__file__).parent).encode() not in content


@pytest.mark.parametrize("format", ELSEWHERE)
def test_says_where_a_format_is_written_from(tmp_path, format):
    path = tmp_path / ("network" + FORMATS[format].suffix)
    sentence = f"needs the backend {' or '.join(FORMATS[format].packages)}, but"
    with pytest.raises(ValueError, match=sentence):
        export_model(network(None), path, format)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("path", "format", "sentence"),
    [
        ("network.onnx", "pickle", "`format` must be one of 'onnx', 'tf_saved_model'"),
        ("network.pb", "onnx", "`path` must end in '.onnx' for `format='onnx'`"),
        ("missing/network.pt2", "torch", "`path` must be in an existing folder"),
        ("", "tf_saved_model", "`path` must be a new folder for `format='tf_saved_model'`"),
    ],
)
def test_bad_arguments_are_one_sentence(tmp_path, path, format, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        export_model(network(None), tmp_path / path, format)
    assert not list(tmp_path.iterdir())


def test_a_model_must_have_one_input(tmp_path):
    pair = [keras.Input((2,)), keras.Input((2,))]
    for model in (keras.Model(pair, keras.layers.Add()(pair)), keras.layers.Dense(2), None):
        with pytest.raises(ValueError, match=r"functional keras\.Model with one input, but is"):
            export_model(model, tmp_path / "network.onnx", "onnx")


@pytest.mark.skipif("onnx" not in HERE, reason="ONNX is not written from this backend")
def test_a_missing_package_is_one_sentence_and_a_failure_leaves_nothing(tmp_path, monkeypatch):
    model, path = network(None), tmp_path / "network.onnx"
    path.write_text("old")
    find = importlib.util.find_spec
    packages = FORMATS["onnx"].packages[BACKEND]

    def find_none(name, *args):
        return None if name in packages else find(name, *args)

    with monkeypatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", find_none)
        with pytest.raises(ImportError, match=r"pip install 'keras-dla\[export\]'"):
            export_model(model, path, "onnx")
    with monkeypatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda name: name != "onnxruntime" or None)
        with pytest.raises(ImportError, match=r"onnxruntime to verify 'onnx': .* verify=False"):
            export_model(model, path, "onnx")

    def fails(model, partial):
        partial.write_text("half")
        raise RuntimeError("out of memory")

    writers = importlib.import_module(
        f"keras_dla.interop.exporting_{'torch' if BACKEND == 'torch' else 'tensorflow'}"
    ).WRITERS

    def writes_another(model, partial):
        pooled = keras.layers.GlobalAveragePooling2D()(model.input)
        write(keras.Model(model.input, keras.layers.Dense(5)(pooled)), partial)

    write = writers["onnx"]
    monkeypatch.setitem(writers, "onnx", writes_another)
    with pytest.raises(ValueError, match="computes numbers other than Keras's"):
        export_model(model, path, "onnx")
    monkeypatch.setitem(writers, "onnx", lambda model, partial: partial.write_text("half"))
    with pytest.raises(ValueError, match="cannot be opened"):
        export_model(model, path, "onnx")
    monkeypatch.setitem(writers, "onnx", fails)
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: True)
    left = tmp_path / f".partial-{path.name}"  # as a killed export leaves it
    left.mkdir()
    (left / "half").write_text("half")
    with pytest.raises(RuntimeError, match="out of memory"):
        export_model(model, path, "onnx")
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1
