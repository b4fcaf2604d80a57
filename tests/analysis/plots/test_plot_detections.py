import numpy as np
import pytest

from keras_dla.analysis.plots.plot_detections import PALETTE, plot_detections

pytest.importorskip("matplotlib")

from matplotlib.colors import to_hex

from tests.backends import on_pytorch

pytestmark = on_pytorch

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 20, 30, 3)).astype("uint8")
DETECTIONS = {
    "boxes": np.tile(np.float32([[2, 3, 12, 13], [10, 0, 30, 20], [0, 0, 5, 5]]), (4, 1, 1)),
    "scores": np.tile(np.float32([0.9, 0.6, 0.2]), (4, 1)),
    "classes": np.tile(np.int32([1, 0, 1]), (4, 1)),
}
TARGETS = {
    "boxes": np.tile(np.float32([[2, 3, 11, 13], [0, 0, 0, 0]]), (4, 1, 1)),
    "classes": np.tile(np.int32([1, -1]), (4, 1)),
}
NAMES = ["cat", "dog"]


def panels(figure):
    return [axis for axis in figure.axes if axis.images]


def labels(axis):
    return [text.get_text() for text in axis.texts]


def test_draws_what_reaches_the_threshold():
    drawn = panels(plot_detections(IMAGES, DETECTIONS, class_names=NAMES, title="found"))
    assert len(drawn) == 4
    for axis, image in zip(drawn, IMAGES, strict=True):
        np.testing.assert_array_equal(axis.images[0].get_array(), image)
        assert labels(axis) == ["cat 0.60", "dog 0.90"]
        weak, best = axis.lines
        assert [to_hex(line.get_color()) for line in (weak, best)] == list(PALETTE[:2])
        # A pixel's centre is a whole number in matplotlib.
        assert best.get_xdata().tolist() == [1.5, 11.5, 11.5, 1.5, 1.5]
        assert best.get_ydata().tolist() == [2.5, 2.5, 12.5, 12.5, 2.5]


def test_padding_of_the_detections_is_not_drawn():
    none = {**DETECTIONS, "classes": np.full((4, 3), -1)}
    assert [labels(axis) for axis in panels(plot_detections(IMAGES, none, threshold=0))] == [
        [],
        [],
        [],
        [],
    ]


def test_classes_without_names_are_numbers():
    axis = panels(plot_detections(IMAGES, DETECTIONS, threshold=0.1))[0]
    assert labels(axis) == ["class 1 0.20", "class 0 0.60", "class 1 0.90"]


def test_targets_have_dashed_frames():
    axis = panels(plot_detections(IMAGES, DETECTIONS, class_names=NAMES, targets=TARGETS))[0]
    target, *found = axis.lines
    assert target.is_dashed() and not any(line.is_dashed() for line in found)
    assert target.get_xdata().max() == 10.5
    assert len(found) == 2


def test_masks_lie_over_the_image():
    masks = np.zeros((4, 3, 28, 28), "float32")
    masks[:, 0] = 1
    axis = panels(plot_detections(IMAGES, {**DETECTIONS, "masks": masks}, class_names=NAMES))[0]
    _, empty, full = (image.get_array() for image in axis.images)
    assert not empty.any()
    expected = np.zeros((20, 30), bool)
    expected[3:13, 2:12] = True
    np.testing.assert_array_equal(full[..., 3] > 0, expected)
    assert to_hex(full[5, 5]) == PALETTE[1]


def test_padding_of_the_images_is_not_shown():
    axis = panels(plot_detections(IMAGES, DETECTIONS, sizes=np.array([[10, 14]] * 4)))[0]
    np.testing.assert_array_equal(axis.images[0].get_array(), IMAGES[0, :10, :14])
    assert axis.get_xlim() == (-0.5, 13.5)
    assert axis.get_ylim() == (9.5, -0.5)


def test_grey_floats():
    grey = IMAGES[:1, ..., :1] / 255
    one = {name: values[:1] for name, values in DETECTIONS.items()}
    assert panels(plot_detections(grey, one))[0].images[0].get_array().shape == (20, 30)


def test_writes_the_file_and_nothing_else(tmp_path):
    plot_detections(IMAGES, DETECTIONS, tmp_path / "sheet.png", targets=TARGETS)
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"images": IMAGES[0]}, "`images` must have shape"),
        ({"images": IMAGES[:0]}, "`images` must have shape"),
        ({"images": IMAGES[:3]}, r"`detections\['boxes'\]` must have a length of 3"),
        ({"detections": {"boxes": IMAGES}}, "`detections` must have 'boxes', 'scores', 'classes'"),
        ({"targets": {"boxes": IMAGES}}, "`targets` must have 'boxes', 'classes', but has"),
        ({"sizes": [[3, 3]]}, "`sizes` must have a length of 4"),
    ],
)
def test_arrays_that_do_not_fit_are_one_sentence(changed, sentence):
    with pytest.raises(ValueError, match=sentence):
        plot_detections(**{"images": IMAGES, "detections": DETECTIONS, **changed})
