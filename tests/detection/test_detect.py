"""From an image of any size, form and orientation to boxes in its own pixels."""

import io

import keras
import numpy as np
import pytest

from keras_dla.data import ImagePreparation
from keras_dla.detection import detect, draw_detections
from tests.data.make_detections import PREPARATION as GOLDEN_PREPARATION
from tests.data.make_detections import filled_detector
from tests.data.test_image_orientation import STORED
from tests.golden import DATA

pillow = pytest.importorskip("PIL.Image")
SIZES = [(64, 96), (200, 50), (31, 32)]


class Bright:
    """Finds the rectangle of positive pixels, with a full mask, and calls it the second class."""

    class_names = ("dark", "bright")

    def __init__(self, data_format="channels_last"):
        self.data_format = data_format
        self.shapes = []

    def predict_on_batch(self, x):
        self.shapes.append(x["images"].shape)
        [image], [[height, width]] = x["images"], x["sizes"]
        image = image.transpose(1, 2, 0) if self.data_format == "channels_first" else image
        assert not image[height:].any() and not image[:, width:].any()
        rows, columns = np.nonzero(image[:height, :width].min(-1) > 0)
        box = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        return {
            "boxes": np.array([[box, (0, 0, 0, 0)]], "float32"),
            "scores": np.array([[0.75, 0]], "float32"),
            "classes": np.array([[1, -1]], "int32"),
            "masks": np.ones((1, 2, 28, 28), "float32"),
        }


def rectangle(height, width):
    pixels = np.zeros((height, width, 3), "uint8")
    box = width // 4, height // 8, width // 4 * 3, height // 2
    pixels[box[1] : box[3], box[0] : box[2]] = 255
    return pixels, box


PREPARATION = ImagePreparation(64, 100)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_boxes_are_in_the_pixels_of_the_original(data_format):
    model = Bright(data_format)
    known = [rectangle(*size) for size in SIZES]
    found = detect(model, [pixels for pixels, _ in known], preparation=PREPARATION)
    for one, (pixels, box) in zip(found, known, strict=True):
        # Half a pixel of the resized image, where its edge is blurred.
        tolerance = 0.75 * max(pixels.shape) / 64 + 0.5
        np.testing.assert_allclose(one.boxes, [box], atol=tolerance)
        assert (one.names, one.size) == (["bright"], pixels.shape[:2])
        inside = one.masks[0, box[1] : box[3], box[0] : box[2]]
        assert one.masks.shape == (1, *pixels.shape[:2]) and inside.mean() > 0.8
    sides = model.shapes[0][1:3] if data_format == "channels_last" else model.shapes[0][2:]
    assert all(side % 32 == 0 for side in sides)


def photograph(orientation):
    """The rectangle, as a phone stores it."""
    pixels, box = rectangle(64, 96)
    turn = {1: lambda x: x, 2: lambda x: x[:, ::-1], 3: lambda x: x[::-1, ::-1]}
    turn |= {4: lambda x: x[::-1], 5: lambda x: x.swapaxes(0, 1)}
    turn |= {6: lambda x: x.swapaxes(0, 1)[::-1], 7: lambda x: x.swapaxes(0, 1)[::-1, ::-1]}
    turn |= {8: lambda x: x.swapaxes(0, 1)[:, ::-1]}
    image = pillow.fromarray(np.ascontiguousarray(turn[orientation](pixels)))
    exif = image.getexif()
    exif[274] = orientation
    file = io.BytesIO()
    image.save(file, "PNG", exif=exif)
    return file.getvalue(), box


@pytest.mark.parametrize("orientation", STORED)
def test_every_form_of_an_image(tmp_path, orientation):
    file, box = photograph(orientation)
    (tmp_path / "a.png").write_bytes(file)
    opened = pillow.open(tmp_path / "a.png")
    for image in (tmp_path / "a.png", str(tmp_path / "a.png"), opened, [opened]):
        [found] = detect(Bright(), image, preparation=ImagePreparation(64, 96))
        assert found.boxes.tolist() == [list(box)]
    pixels = rectangle(64, 96)[0]
    for image in (pixels, pixels / 255, pixels[..., 0], pixels[..., 0] / np.float32(255)):
        [found] = detect(Bright(), image, preparation=ImagePreparation(64, 96))
        assert found.boxes.tolist() == [list(box)]


def test_the_least_score():
    pixels, _ = rectangle(64, 96)
    assert len(detect(Bright(), pixels, 0.75, PREPARATION)[0]) == 1
    [none] = detect(Bright(), pixels, 0.76, PREPARATION)
    assert len(none) == 0 and none.boxes.shape == (0, 4) and none.masks.shape == (0, 64, 96)
    np.testing.assert_array_equal(draw_detections(pixels, none), pixels)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4, 4), "uint8"), r"array \(4, 4, 4\) of uint8"),
        (np.zeros((0, 4, 3), "uint8"), r"array \(0, 4, 3\)"),
        (np.full((4, 4, 3), 2.0), "of float64"),
        (np.zeros((4, 4, 3), "int32"), "of int32"),
        ("nowhere.jpg", r"the image file 'nowhere.jpg' cannot be read"),
    ],
)
def test_other_images_are_one_sentence(image, message):
    with pytest.raises(ValueError, match=message):
        detect(Bright(), [image], preparation=PREPARATION)


def test_settings_are_one_sentence():
    pixels, _ = rectangle(64, 96)
    with pytest.raises(ValueError, match=r"`preparation` must say .*but is None"):
        detect(Bright(), pixels)
    with pytest.raises(ValueError, match=r"`score` must be a number from 0 to 1, but is 50"):
        detect(Bright(), pixels, score=50, preparation=PREPARATION)
    with pytest.raises(ValueError, match="`model` must be a detector"):
        detect(keras.Sequential(name="other"), pixels)


def test_a_drawing_has_frames_and_masks_in_place():
    pixels, box = rectangle(256, 384)
    [found] = detect(Bright(), pixels, preparation=ImagePreparation(256, 384))
    drawn = draw_detections(pixels, found)
    assert drawn.shape == pixels.shape
    changed = np.argwhere((drawn != pixels).any(-1))
    assert changed.min(0)[1] >= box[0] - 1
    middle = (box[1] + box[3]) // 2, (box[0] + box[2]) // 2
    np.testing.assert_allclose(drawn[middle], 0.55 * 255 + 0.45 * np.array([86, 180, 233]), atol=1)


def test_all_backends_find_the_same():
    """`detected.npz` holds what PyTorch found (`tests/data/make_detections.py` makes it)."""
    with np.load(DATA / "detected.npz") as golden:
        images = [golden["landscape"], golden["portrait"]]
        found = detect(filled_detector(), images, 0.05, GOLDEN_PREPARATION)
        for number, one in enumerate(found):
            np.testing.assert_allclose(one.boxes, golden[f"boxes{number}"], atol=0.05)
            np.testing.assert_allclose(one.scores, golden[f"scores{number}"], atol=1e-4)
            np.testing.assert_array_equal(one.classes, golden[f"classes{number}"])
            areas = one.masks.sum(axis=(1, 2))
            np.testing.assert_allclose(areas, golden[f"areas{number}"], rtol=0.02, atol=4)
