import json

import keras
import numpy as np
import pytest

from keras_dla.cli import main
from keras_dla.cli.report_folder import FILES
from keras_dla.detection import FasterRCNN
from keras_dla.models import ResNet

pytest.importorskip("pycocotools", reason="pycocotools is not installed.")
image_module = pytest.importorskip("PIL.Image", reason="needs Pillow, which reads images")

# (left, top, right, bottom) of a white rectangle in each image of 64 x 96.
RECTANGLES = [(8, 16, 40, 40), (32, 0, 96, 48), (4, 4, 20, 60)]
HEIGHT, WIDTH = 64, 96


@keras.saving.register_keras_serializable(package="keras_dla_tests")
class Bright(keras.Model):
    """Finds the rectangle of positive pixels, and calls it the class of index 1."""

    data_format = "channels_last"

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.built = True

    def call(self, x):
        return x["images"]

    def predict_on_batch(self, x):
        boxes = np.zeros((len(x["images"]), 3, 4), "float32")
        classes = np.full((len(x["images"]), 3), -1, "int32")
        for index, image in enumerate(x["images"]):
            height, width = x["sizes"][index]
            rows, columns = np.nonzero(image[:height, :width].min(-1) > 0)
            boxes[index, 0] = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
            classes[index, 0] = 1
        return {"boxes": boxes, "scores": np.float32(classes == 1), "classes": classes}


@keras.saving.register_keras_serializable(package="keras_dla_tests")
class BrightFixed(Bright):
    """The same for padded images of one shape."""

    image_shape = (64, 128)

    def predict_on_batch(self, x):
        assert x["images"].shape[1:] == (64, 128, 3)
        assert x["sizes"].tolist() == [[HEIGHT, WIDTH]] * len(x["sizes"])
        return super().predict_on_batch(x)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images, their annotations, and the two detectors."""
    folder = tmp_path_factory.mktemp("detection")
    (folder / "images").mkdir()
    content = {"images": [], "annotations": [], "categories": []}
    for number, name in ((3, "triangle"), (8, "rectangle")):
        content["categories"].append({"id": number, "name": name})
    for index, (left, top, right, bottom) in enumerate(RECTANGLES):
        pixels = np.zeros((HEIGHT, WIDTH, 3), "uint8")
        pixels[top:bottom, left:right] = 255
        file_name = f"{index}.png"
        image_module.fromarray(pixels).save(folder / "images" / file_name)
        size = {"height": HEIGHT, "width": WIDTH}
        content["images"].append({"id": index, "file_name": file_name, **size})
        corners = (left, top, right, top, right, bottom, left, bottom)
        content["annotations"].append(
            {
                "id": index,
                "image_id": index,
                "category_id": 8,
                "bbox": [left, top, right - left, bottom - top],
                "area": (right - left) * (bottom - top),
                "iscrowd": 0,
                "segmentation": [list(corners)],
            }
        )
    (folder / "objects.json").write_text(json.dumps(content))
    (folder / "nothing.json").write_text("[]")
    Bright(name="bright").save(folder / "bright.keras")
    BrightFixed(name="fixed").save(folder / "fixed.keras")
    return folder


def command(folder, model, *options):
    files = ("--annotations", folder / "objects.json", "--images", folder / "images")
    return [str(part) for part in ("evaluate", folder / model, *files, *options)]


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("bright.keras", ("--shorter-side", "128", "--longer-side", "400")),
        ("bright.keras", ("--shorter-side", "64", "--batch-size", "3", "--normalize", "cifar")),
        ("fixed.keras", ()),
    ],
)
def test_prints_the_table(capsys, folder, model, options):
    assert main(command(folder, model, *options, "--by-class")) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line[0] != "-"]
    assert lines == [
        ["AP", "AP50", "AP75", "AP_S", "AP_M", "AP_L"],
        ["boxes", "1.000", "1.000", "1.000", "1.000", "1.000", "-"],
        ["AR1", "AR10", "AR100", "AR_S", "AR_M", "AR_L"],
        ["boxes", "1.000", "1.000", "1.000", "1.000", "1.000", "-"],
        ["class", "AP", "AP50", "AR100"],
        ["triangle", "-", "-", "-"],
        ["rectangle", "1.000", "1.000", "1.000"],
    ]


def test_writes_the_figures(capsys, folder, tmp_path):
    output = tmp_path / "figures.json"
    assert main(command(folder, "fixed.keras", "--json", output)) == 0
    figures = json.loads(output.read_text())
    assert figures["AP"] == pytest.approx(1)
    assert figures["AP50 of rectangle"] == pytest.approx(1)
    assert figures["AP of triangle"] == -1
    assert [path.name for path in tmp_path.iterdir()] == ["figures.json"]
    told = capsys.readouterr().err.splitlines()
    assert told[-2:] == ["2 of 2 batches ...", f"wrote {output}"]


def test_writes_plots_and_their_numbers(capsys, fails, folder, tmp_path):
    pytest.importorskip("matplotlib")
    output = tmp_path / "report"
    assert main(command(folder, "fixed.keras", "--plots", output)) == 0
    assert sorted(path.name for path in output.iterdir()) == sorted(FILES)
    confusion = (output / "confusion.csv").read_text().split()
    assert confusion[1:] == ["triangle,0,0,0", "rectangle,0,3,0", "nothing,0,0,0"]
    by_class = (output / "by_class.csv").read_text().split()
    assert by_class == ["class,AP,AP50,AR100", "triangle,-1.0,-1.0,-1.0", "rectangle,1.0,1.0,1.0"]
    curves = (output / "precision_recall.csv").read_text().split()
    assert len(curves) == 1 + 2 * 101 and curves[1] == "boxes,0.5,rectangle,0.0,1.0"
    capsys.readouterr()
    sentence = fails(*command(folder, "fixed.keras", "--plots", output))
    assert sentence.endswith("precision_recall.png exists; `--force` replaces it.")
    assert fails(*command(folder, "fixed.keras", "--score", "50")) == (
        "`--score` must be from 0 to 1, but is 50.0."
    )


def test_prints_json_alone(capsys, folder):
    assert main(command(folder, "fixed.keras", "--json")) == 0
    assert json.loads(capsys.readouterr().out)["AP"] == pytest.approx(1)


def test_errors(fails, folder, tmp_path, nonsense):
    taken = tmp_path / "taken.json"
    taken.write_text("")
    assert fails(*command(folder, "fixed.keras", "--json", taken)).endswith(
        "`--force` replaces it."
    )
    assert fails(*command(folder, "fly.keras")).startswith("there is no file ")
    sentence = fails(*command(folder, "fixed.keras", "--batch-size", "0"))
    assert sentence.startswith("`--batch-size` must be an integer of at least 1")
    wrong = command(folder, "bright.keras", "--annotations", folder / "nothing.json")
    assert "nothing.json" in fails(*wrong)
    wrong = command(folder, "bright.keras", "--images", folder / "fly")
    assert fails(*wrong).startswith("`--images` must be the path of a folder")
    assert "damaged or not a .keras file" in fails(*command(folder, nonsense("bad.keras")))


def test_sides_that_must_be_told(fails, folder):
    assert fails(*command(folder, "bright.keras")) == (
        "`--shorter-side` must say to how many pixels images were resized in training, because "
        "it was not saved with bright."
    )
    sentence = fails(*command(folder, "bright.keras", "--shorter-side", "0"))
    assert sentence.startswith("`--shorter-side` must be an integer of at least 1")
    assert fails(*command(folder, "fixed.keras", "--shorter-side", "129")) == (
        "`--shorter-side` must be at most 128, because fixed reads images of 64 x 128 pixels, "
        "but is 129."
    )


def test_images_of_two_shapes(capsys, tmp_path):
    """TensorFlow forgets the size of images that change it, and JAX compiles anew."""
    content = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "thing"}]}
    for index, (height, width) in enumerate([(32, 60), (60, 32)]):
        name = f"{index}.png"
        image_module.new("RGB", (width, height)).save(tmp_path / name)
        content["images"].append({"id": index, "file_name": name, "height": height, "width": width})
        box = {"image_id": index, "category_id": 1, "bbox": [2, 2, 20, 20]}
        content["annotations"].append(box)
    (tmp_path / "objects.json").write_text(json.dumps(content))
    backbone = ResNet((1, 1), "dla_l", stem="imagenet", planes=(8, 8), include_top=False)
    options = {"channels": 4, "head_units": 4, "proposals": 8, "max_detections": 4}
    FasterRCNN(backbone, 1, **options, name="small").save(tmp_path / "small.keras")
    capsys.readouterr()
    files = ["--annotations", str(tmp_path / "objects.json"), "--images", str(tmp_path)]
    sizes = ["--shorter-side", "48", "--batch-size", "1"]
    assert main(["evaluate", str(tmp_path / "small.keras"), *files, *sizes]) == 0
    printed = capsys.readouterr()
    # 48 x 90 would exceed five thirds of 48.
    assert "Running small on 2 images, padded to 96 x 96 ..." in printed.err.splitlines()
    assert "boxes" in printed.out


def test_a_network_that_is_no_detector(fails, folder, files):
    sentence = fails(*command(folder, files.mean))
    assert sentence == f"{files.mean} must be a detector, but is mean."
