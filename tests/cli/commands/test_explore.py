import shutil

import numpy as np
import pytest

from keras_dla.analysis import explore
from keras_dla.cli import main
from keras_dla.data import BLOOD_CELL_CLASSES


def test_the_page(files, tmp_path, monkeypatch, capsys):
    import keras_dla.analysis

    calls = []

    def keep(*arguments, **options):
        calls.append((arguments, options))
        return explore(*arguments, **options)

    monkeypatch.setattr(keras_dla.analysis, "explore", keep)
    folder = tmp_path / "images"
    folder.mkdir()
    for path in files.images:
        shutil.copy(path, folder)
    output = tmp_path / "report.html"
    command = ["explore", files.dla, str(folder), "-o", str(output), "--classes", "blood_cells"]
    assert main(command) == 0
    assert capsys.readouterr().out == f"wrote {output}\n"
    [((models, inputs, path), options)] = calls
    assert ([*models], path) == (["dla"], output)
    np.testing.assert_array_equal(options["images"], files.pixels)
    assert inputs.shape == files.pixels.shape
    assert options["image_names"] == ["cell0.png", "cell1.png"]
    assert tuple(options["class_names"]) == BLOOD_CELL_CLASSES
    assert output.read_text("utf-8").lstrip().lower().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["fly.png", "-o", "a.html"], "at least one FILE must be a network, which ends in .keras."),
        (["fly.keras", "-o", "a.html"], "there is no file fly.keras."),
        (["fly.keras", "-o", "a.pdf"], "`--output` must end in .html, but is a.pdf."),
        (["{dla}", "fly.png", "-o", "a.html"], "there is no image fly.png."),
    ],
)
def test_errors(files, fails, arguments, sentence):
    assert fails("explore", *(a.format(dla=files.dla) for a in arguments)) == sentence


def test_a_network_without_layer_attention(files, tmp_path, fails):
    command = ("explore", files.mean_first, *files.images, "-o", tmp_path / "a.html")
    assert fails(*command, "--normalize", "none").startswith("FILE")
    assert not (tmp_path / "a.html").exists()
