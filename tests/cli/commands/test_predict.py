import json
import shutil

import keras
import numpy as np
import pytest

from keras_dla.cli import main
from keras_dla.data import (
    BLOOD_CELL_CLASSES,
    BLOOD_CELL_MEAN,
    BLOOD_CELL_STD,
    CIFAR_MEAN,
    CIFAR_STD,
)
from keras_dla.models import trained_weights
from keras_dla.training.experiment import pack_weights as packing
from tests.backends import on_pytorch
from tests.training.finished_runs import NETWORK, finished_run, instead_of_cifar


def predict(capsys, *arguments):
    assert main(["predict", *map(str, arguments)]) == 0
    return capsys.readouterr().out.splitlines()


def normalized(pixels, mean, std):
    return ((pixels / 255 - np.array(mean)) / np.array(std)).astype("float32")


def test_the_classes_of_images(capsys, files):
    batch = normalized(files.pixels, BLOOD_CELL_MEAN, BLOOD_CELL_STD)
    probabilities = files.networks["dla"].predict(batch, verbose=0)
    expected = []
    for path, row in zip(files.images, probabilities, strict=True):
        expected.append(path)
        expected += [f"  {row[i]:7.2%}  {BLOOD_CELL_CLASSES[i]}" for i in np.argsort(-row)]
    assert predict(capsys, files.dla, *files.images, "--classes", "blood_cells") == expected


def resized(image, width, height):
    from PIL import Image

    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))


def opened(path):
    from PIL import Image

    return Image.open(path)


def scores_of(lines):
    """The three scores by class of the one image that `lines` are about."""
    pairs = [line.split() for line in lines[1:]]
    return [float(score) for score, _, _ in sorted(pairs, key=lambda pair: pair[-1])]


def test_scores_are_no_percentages_and_the_image_gets_the_networks_own_size(capsys, files):
    pixels = resized(opened(files.images[1]), width=8, height=12)
    lines = predict(capsys, files.mean_first, files.images[1], "--normalize", "cifar")
    expected = normalized(pixels, CIFAR_MEAN, CIFAR_STD).mean((0, 1))
    assert "%" not in lines[1]
    assert lines[0] == files.images[1]
    np.testing.assert_allclose(scores_of(lines), expected, atol=1e-3)


def test_a_size_and_statistics_of_ones_own(capsys, files):
    pixels = resized(opened(files.images[0]), width=5, height=7)
    own = ("--size", "7x5", "--mean=-0.7,0,0.1", "--std", "0.1,0.2,3")
    lines = predict(capsys, files.mean, files.images[0], *own)
    expected = normalized(pixels, (-0.7, 0, 0.1), (0.1, 0.2, 3)).mean((0, 1))
    np.testing.assert_allclose(scores_of(lines), expected, atol=1e-3)


def test_values_as_they_are(capsys, files):
    lines = predict(capsys, files.mean, files.images[0], "--normalize", "none", "--size", 32)
    np.testing.assert_allclose(scores_of(lines), files.pixels[0].mean((0, 1)), atol=1e-2)


def test_the_best_only(capsys, files):
    lines = predict(capsys, files.mean_first, *files.images, "--normalize", "none", "--top", 1)
    assert [len(line.split()) for line in lines] == [1, 3, 1, 3]


def test_names_from_a_file(capsys, files, tmp_path):
    (tmp_path / "names.txt").write_text("eins\nzwei\n\n drei \n", encoding="utf-8")
    options = ("--normalize", "none", "--classes", tmp_path / "names.txt")
    lines = predict(capsys, files.mean_first, files.images[0], *options)
    expected = files.pixels[0].mean((0, 1))
    names = [("eins", "zwei", "drei")[index] for index in np.argsort(-expected)]
    assert [line.split()[-1] for line in lines[1:]] == names


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "`--normalize` must say how the images were normalised in training"),
        (["--classes", "cifar10"], "`--classes` must name the network's 3 classes, but cifar10 "),
        (["--classes", "fly.txt"], "`--classes` must be cifar10, cifar100, blood_cells or a text"),
        (["--mean", "1,1,1"], "`--mean` and `--std` must be given together."),
        (["--mean", "1", "--std", "1"], "`--mean` and `--std` must have one number per channel"),
        (["--mean", "1,1,1", "--std", "1,0,1"], "`--std` must be positive"),
        (
            ["--mean", "123.7,116.3,103.5", "--std", "58.4,57.1,57.4"],
            "`--mean` must be on the scale where white is 1, but is 123.7,116.3,103.5.",
        ),
        (
            ["--mean", "0,0,0", "--std", "58.4,57.1,57.4"],
            "`--std` must be positive and on the scale",
        ),
        (
            ["--normalize", "cifar", "--mean", "1,1,1", "--std", "1,1,1"],
            "`--normalize` must not be given together with",
        ),
        (["--top", "0"], "`--top` must be at least 1, but is 0."),
    ],
)
def test_errors_of_options(fails, files, options, sentence):
    assert fails("predict", files.dla, files.images[0], *options).startswith(sentence)


def test_errors_of_files(fails, files, nonsense):
    cifar = ("--normalize", "cifar")
    assert fails("predict", files.dla, "fly.png", *cifar) == "there is no image fly.png."
    assert fails("predict", "fly.keras", *files.images, *cifar) == "there is no file fly.keras."
    bad = nonsense("bad.png")
    sentence = f"{bad} cannot be read as an image (PNG, JPEG, BMP, GIF, WEBP, TIFF, PPM)."
    assert fails("predict", files.dla, bad, *cifar) == sentence
    binary = files.images[0]
    assert "must be a text file in UTF-8" in fails(
        "predict", files.dla, binary, *cifar, "--classes", binary
    )


def test_networks_that_are_no_classifiers_of_images(fails, files, tmp_path):
    cifar = ("--normalize", "cifar")
    sentence = fails("predict", files.dense, files.images[0], *cifar)
    assert sentence.startswith("dense must have one input of grey or colour images")
    images = keras.Input((8, 8, 3))
    keras.Model(images, keras.layers.ReLU()(images), name="maps").save(tmp_path / "maps.keras")
    sentence = fails("predict", tmp_path / "maps.keras", files.images[0], *cifar)
    assert sentence.startswith("maps must have one output [batch, classes]")


def test_a_size_that_the_network_does_not_read(fails, files):
    command = ("predict", files.mean, files.images[0], "--normalize", "none")
    assert fails(*command) == "`--size` must be given, because mean reads images of any size."
    command = ("predict", files.mean_first, files.images[0], "--normalize", "none")
    sentence = "`--size` must be 12x8, the size that mean reads, but is 9x9."
    assert fails(*command, "--size", "9") == sentence


@pytest.mark.parametrize(
    "option", [("--mean", "nan,0,0"), ("--std", "1,inf,1"), ("--size", "9999")]
)
def test_numbers_that_cannot_be(capsys, files, option):
    with pytest.raises(SystemExit):
        main(["predict", files.dla, files.images[0], *option])
    assert f"argument {option[0]}: " in capsys.readouterr().err


def test_a_folder_and_json(capsys, files, tmp_path):
    for path in files.images:
        shutil.copy(path, tmp_path)
    (tmp_path / "notes.txt").write_text("no image")
    command = ["predict", files.dla, str(tmp_path), "--classes", "blood_cells", "--top", "1"]
    assert main([*command, "--json"]) == 0
    records = json.loads(capsys.readouterr().out)
    assert [record["image"] for record in records] == [
        str(tmp_path / "cell0.png"),
        str(tmp_path / "cell1.png"),
    ]
    for record in records:
        [best] = record["classes"]
        assert BLOOD_CELL_CLASSES[best["index"]] == best["name"]
        assert record["probabilities"] and 1 / 3 <= best["score"] <= 1


def test_class_files_as_editors_write_them(capsys, files, fails, tmp_path):
    names = tmp_path / "names.txt"
    names.write_bytes(b"\xef\xbb\xbfone\r\ntwo\r\nthree\r\n")
    options = ("--classes", str(names), "--normalize", "cifar")
    lines = predict(capsys, files.dla, files.images[0], *options)
    assert sorted(line.split()[-1] for line in lines[1:]) == ["one", "three", "two"]
    names.write_text("one\ntwo\x1b[31m\nthree\n")
    sentence = fails("predict", files.dla, files.images[0], *options)
    assert sentence.startswith("`--classes` must contain only printable characters, but ")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run whose weights come with the package, for once."""
    parent = tmp_path_factory.mktemp("runs")
    _, labels = finished_run(parent / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "load_cifar_arrays", instead_of_cifar(labels))
        patch.setattr(trained_weights, "FOLDER", parent / "trained")
        patch.setattr(packing, "FOLDER", parent / "trained")
        yield parent / "run"


@on_pytorch  # on the others tests/models/test_trained_weights.py loads such weights
def test_weights_that_come_with_the_package(capsys, files, run, fails):
    assert main(["weights", "list"]) == 0
    assert capsys.readouterr().err == "no trained weights come with this version.\n"
    assert main(["weights", "pack", str(run)]) == 0
    said = capsys.readouterr().out
    assert "75.00 % of 8 test images right (the run: 75.00 %)" in said
    assert "exists already" in fails("weights", "pack", run)
    assert main(["weights", "list"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split()[:4] == [
        NETWORK,
        "cifar10",
        "2",
        "75.00",
    ]
    expected = predict(
        capsys, run / "last.keras", *files.images, "--classes", "cifar10", "--top", "1"
    )
    named = ("--model", NETWORK, "--weights", "cifar10")
    for command in ([*named, *files.images], [files.images[0], *named, files.images[1]]):
        lines = predict(capsys, *command, "--top", "1")
        assert [line.split()[-1] for line in lines] == [line.split()[-1] for line in expected]
        assert "%" in lines[1]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--model", "dla_l_11"], "`--model` and `--weights` must be given together."),
        (["--model", "dla_11", "--weights", "cifar10"], "`--model` must be one of resnet, a2, aa"),
        (["--model", "se_11", "--weights", "cifar10"], "`weights` must be the path of a file for"),
    ],
)
def test_weights_that_there_are_not(fails, files, options, sentence):
    assert fails("predict", *options, files.images[0]).startswith(sentence)
