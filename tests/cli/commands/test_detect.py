"""`keras-dla detect`: drawings and tables of what is in photographs."""

import csv
import json

import keras
import numpy as np
import pytest

from keras_dla.cli import main
from keras_dla.data import ImagePreparation
from keras_dla.detection.detector import KnowsItsData

image_module = pytest.importorskip("PIL.Image")
BOX = 20, 10, 60, 40


@keras.saving.register_keras_serializable(package="keras_dla_tests")
class BrightNamed(KnowsItsData, keras.Model):
    """Finds the rectangle of positive pixels, and knows its classes and its images."""

    data_format = "channels_last"
    classes = 2

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.class_names = ("cup", "bright thing")
        self.preparation = ImagePreparation(64, 96)
        self.built = True

    def call(self, x):
        return x["images"]

    def predict_on_batch(self, x):
        rows, columns = np.nonzero(x["images"][0].min(-1) > 0)
        box = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        return {
            "boxes": np.array([[box]], "float32"),
            "scores": np.array([[0.75]], "float32"),
            "classes": np.array([[1]], "int32"),
        }


@pytest.fixture
def folder(tmp_path):
    pixels = np.zeros((64, 96, 3), "uint8")
    pixels[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 255
    (tmp_path / "photos").mkdir()
    for name in ("a.jpg", "b.png", "a.png"):
        image_module.fromarray(pixels).save(tmp_path / "photos" / name, quality=100)
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    BrightNamed(name="bright").save(tmp_path / "bright.keras")
    return tmp_path


def command(folder, *options, images=("photos",)):
    paths = [folder / image for image in images]
    parts = ("detect", folder / "bright.keras", *paths, "-o", folder / "out", *options)
    return [str(part) for part in parts]


def test_draws_and_writes_tables(folder, capsys):
    assert main(command(folder, "--json", "--csv")) == 0
    names = sorted(path.name for path in (folder / "out").iterdir())
    assert names == ["a.jpg", "a.png", "b.png", "detections.csv", "detections.json"]
    drawn = np.asarray(image_module.open(folder / "out" / "b.png"))
    assert drawn.shape == (64, 96, 3)
    np.testing.assert_allclose(drawn[BOX[1], BOX[0] + 20], (86, 180, 233), atol=2)
    results = json.loads((folder / "out" / "detections.json").read_text())
    assert [result["image_id"] for result in results] == [1, 2, 3]
    assert results[1]["bbox"] == [20, 10, 40, 30]
    assert (results[1]["category_id"], results[1]["category"]) == (2, "bright thing")
    with (folder / "out" / "detections.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [rows[1][key] for key in ("class", "score", "x2")] == ["bright thing", "0.75", "60.0"]
    assert "3 of 3" in capsys.readouterr().err.splitlines()[-1]


def test_scores_below_are_left_out(folder):
    assert main(command(folder, "--score", "0.8", "--json", images=["photos/b.png"])) == 0
    assert json.loads((folder / "out" / "detections.json").read_text()) == []


def test_an_image_that_cannot_be_read_is_left_out_aloud(folder, capsys):
    (folder / "photos" / "c.jpg").write_bytes(b"none")
    assert main(command(folder)) == 2
    told = capsys.readouterr().err.splitlines()
    assert "left out: the image file" in told[4] and "c.jpg" in told[4]
    assert "1 of 4 images were left out" in told[5]
    assert (folder / "out" / "b.png").is_file()


def test_errors(folder, fails, capsys):
    assert fails(*command(folder, images=["nowhere.jpg"])).startswith("there is no image ")
    (folder / "empty").mkdir()
    assert fails(*command(folder, images=["empty"])).startswith("there is no image in the folder")
    assert "from 0 to 1, but is 2.0" in fails(*command(folder, "--score", "2"))
    assert main(command(folder)) == 0
    capsys.readouterr()
    assert fails(*command(folder)).endswith("`--force` replaces it.")
    assert main(command(folder, "--force")) == 0
    capsys.readouterr()
    parts = ["detect", folder / "bright.keras", folder / "photos", "-o", folder / "photos"]
    assert "must not be the folder of" in fails(*map(str, parts))
