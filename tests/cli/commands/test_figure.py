import numpy as np
import pytest

from keras_dla.analysis import figure_2, figure_4
from keras_dla.cli import main
from keras_dla.data import BLOOD_CELL_MEAN, BLOOD_CELL_STD, load_blood_cells
from tests.cli.commands.test_report import a_run

pytest.importorskip("matplotlib", reason="needs matplotlib, which draws")
STAGE = "stage1_dla"


@pytest.fixture
def drawn(monkeypatch):
    """What the functions of the figures are given, which draw all the same."""
    import keras_dla.analysis

    calls = []
    for draw in (figure_2, figure_4):

        def keep(*arguments, draw=draw, **options):
            calls.append((arguments, options))
            return draw(*arguments, **options)

        monkeypatch.setattr(keras_dla.analysis, draw.__name__, keep)
    return calls


def normalized(pixels):
    return (pixels / 255 - np.array(BLOOD_CELL_MEAN)) / np.array(BLOOD_CELL_STD)


def figure(*arguments):
    assert main(["figure", *map(str, arguments)]) == 0


def test_figure_2_of_test_images(files, tmp_path, drawn, capsys):
    output = tmp_path / "figure2.svg"
    figure(2, files.dla, files.dla, "--stage", STAGE, "--most", 3, "-o", output)
    [((static, dynamic, images, path), options)] = drawn
    assert (static.name, dynamic.name, path) == ("mine", "mine", output)
    assert options == {"stage": STAGE, "title": None}
    expected = normalized(load_blood_cells()[1][0][:3])
    np.testing.assert_allclose(images, expected, atol=1e-5)
    assert output.read_bytes().startswith(b"<?xml")
    assert capsys.readouterr().out == f"wrote {output}\n"


def test_figure_2_of_images_of_ones_own(files, tmp_path, drawn):
    own = ("--images", *files.images, "--normalize", "blood_cells", "--stage", STAGE)
    output = tmp_path / "FIGURE2.PNG"
    figure(2, files.dla, files.dla, *own, "-o", output)
    np.testing.assert_allclose(drawn[0][0][2], normalized(files.pixels), atol=1e-5)
    assert output.read_bytes().startswith(b"\x89PNG")


def test_figure_4(tmp_path, drawn, capsys):
    a_run(tmp_path, "a", [0.5, 0.70], model="dla_l_20", seed=0)
    a_run(tmp_path, "b", [0.1], epochs=2, model="dla_l_56", seed=0)
    output = tmp_path / "figure4.svg"
    figure(4, tmp_path, "-o", output, "--without-published", "--title", "mine")
    [((results, path), options)] = drawn
    assert [result.experiment.model for result in results] == ["dla_l_20"]
    assert (path, options) == (output, {"title": "mine", "published": False})
    assert capsys.readouterr().err == "b is left out: 1 of 2 epochs are done.\n"


def test_errors(files, tmp_path, fails):
    output = ("-o", tmp_path / "a.png")
    sentence = fails("figure", 2, files.dla, files.dla, *output)
    assert sentence.startswith("`--stage` must be a stage of STATIC, which has stage1_dla")
    sentence = fails("figure", 2, files.dla, files.mean_first, *output)
    assert sentence.startswith("the networks must read images of the same shape, but mine reads")
    assert fails("figure", 2, files.dla, files.dla, "-o", "a.gif").startswith("`--output` must end")
    sentence = fails("figure", 2, files.mean_first, files.mean_first, *output)
    assert sentence.startswith(
        "images must be given, because no data set with test images has the 3 classes and the 12x8 "
        "images of mean."
    )
    sentence = fails("figure", 4, tmp_path, *output)
    assert sentence.startswith(f"{tmp_path} must be or contain a run folder, which has a settings")
