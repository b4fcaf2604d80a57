import numpy as np
import pytest

from keras_dla.analysis import plot_predictions
from tests.backends import on_pytorch

pytestmark = on_pytorch

pytest.importorskip("matplotlib")

NAMES = ("cat", "dog", "cow")
IMAGES = np.random.default_rng(0).integers(0, 256, (8, 4, 4, 3)).astype("uint8")
LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 1])
PREDICTIONS = np.array([0, 1, 1, 0, 1, 2, 0, 1])


def draw(images=IMAGES, predictions=PREDICTIONS, path=None, **changed):
    arguments = {"labels": LABELS, "class_names": NAMES, **changed}
    return plot_predictions(images, predictions, path, **arguments)


def panels(figure):
    return [axis for axis in figure.axes if axis.images]


def test_draws_every_image_with_its_two_classes():
    drawn = panels(draw(title="animals"))
    assert len(drawn) == len(IMAGES)
    for axis, image, label, prediction in zip(drawn, IMAGES, LABELS, PREDICTIONS, strict=True):
        np.testing.assert_array_equal(axis.images[0].get_array(), image)
        assert axis.get_title() == f"true: {NAMES[label]}\npredicted: {NAMES[prediction]}"


def test_the_wrong_ones_have_a_frame():
    drawn = panels(draw())
    framed = [axis.spines["left"].get_visible() for axis in drawn]
    assert framed == (LABELS != PREDICTIONS).tolist()


def test_probabilities_are_taken_as_well():
    probabilities = np.eye(3)[PREDICTIONS]
    titles = [a.get_title() for a in panels(draw())]
    figure = draw(predictions=probabilities)
    assert [axis.get_title() for axis in panels(figure)] == titles


def test_writes_the_file_and_nothing_else(tmp_path):
    draw(path=tmp_path / "sheet.png")
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


@pytest.mark.parametrize(
    ("images", "labels", "predictions"),
    [
        (IMAGES[:3], LABELS, PREDICTIONS),
        (IMAGES, LABELS[:3], PREDICTIONS),
        (IMAGES[:0], LABELS[:0], PREDICTIONS[:0]),
        (IMAGES[0], LABELS[:4], PREDICTIONS[:4]),
    ],
)
def test_arrays_that_do_not_fit_are_one_sentence(images, labels, predictions):
    with pytest.raises(ValueError, match=r"^`(images|labels|predictions)` must have "):
        draw(images, predictions, labels=labels)


def test_numbers_stand_for_names_that_are_not_given():
    figure = draw(class_names=None)
    assert panels(figure)[2].get_title() == "true: class 2\npredicted: class 1"


def test_the_order_of_old_is_refused():
    """A file's name in the place of the labels would else be taken for them."""
    with pytest.raises(TypeError):
        plot_predictions(IMAGES, LABELS, PREDICTIONS, NAMES)
