import numpy as np
import pytest

from keras_dla.analysis import attention_scores
from keras_dla.cli import main
from keras_dla.cli.commands import attention
from keras_dla.data import BLOOD_CELL_MEAN, BLOOD_CELL_STD

pytest.importorskip("matplotlib", reason="needs matplotlib, which draws")
CELLS = ("--normalize", "blood_cells")


def test_draws_the_scores_over_all_images(files, tmp_path, monkeypatch, capsys):
    import keras_dla.analysis

    drawn = []
    draw = keras_dla.analysis.plot_attention
    monkeypatch.setattr(
        keras_dla.analysis,
        "plot_attention",
        lambda scores, *args, **kwargs: (drawn.append(scores), draw(scores, *args, **kwargs)),
    )
    output = tmp_path / "a.png"
    assert main(["attention", files.dla, *files.images, "-o", str(output), *CELLS]) == 0
    assert output.read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert capsys.readouterr().out == f"wrote {output}\n"
    batch = (files.pixels / 255 - np.array(BLOOD_CELL_MEAN)) / np.array(BLOOD_CELL_STD)
    expected = attention_scores(files.networks["dla"], batch.astype("float32"))
    for name, scores in expected.items():
        np.testing.assert_allclose(drawn[0][name], scores, atol=1e-5)


def test_an_existing_file_is_kept(files, tmp_path, fails):
    output = tmp_path / "a.svg"
    output.write_bytes(b"old")
    command = ["attention", files.dla, files.images[0], "-o", str(output), *CELLS]
    assert fails(*command) == f"{output} exists; `--force` replaces it."
    assert output.read_bytes() == b"old"
    assert main([*command, "--force", "--title", "the title"]) == 0
    assert output.read_bytes().startswith(b"<?xml")


def test_a_network_without_layer_attention(tmp_path, files, fails):
    output = tmp_path / "a.png"
    sentence = fails("attention", files.mean_first, *files.images, "-o", output, *CELLS)
    assert sentence.startswith("FILE must contain layer attention")
    assert not output.exists()


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("a.txt", "`--output` must end in .png, .pdf, .svg, but is a.txt."),
        ("fly/a.png", "there is no folder fly to write a.png to."),
    ],
)
def test_outputs_that_cannot_be(files, fails, monkeypatch, output, sentence):
    # Nothing is loaded first.
    monkeypatch.setattr(attention, "load_network", None)
    assert fails("attention", files.dla, files.images[0], "-o", output, *CELLS) == sentence
