import numpy as np
import pytest

from keras_dla.analysis import plot_class_activation
from tests.backends import on_pytorch

pytestmark = on_pytorch

pytest.importorskip("matplotlib")

RNG = np.random.default_rng(0)
NAMES = ("cat", "dog", "cow")
CLASSES = np.array([0, 2, 1, 1, 0, 2, 1, 0])
IMAGES = RNG.integers(0, 256, (8, 6, 4, 3)).astype("uint8")
MAPS = RNG.uniform(size=(8, 6, 4)).astype("float32")
MAPS[:, 2, 1] = 1


def drawn(figure):
    """The panels with images: those of the images and, in the same order, their overlays."""
    panels = [axis for axis in figure.axes if axis.images]
    return [axis for axis in panels if len(axis.images) == 1], [
        axis for axis in panels if len(axis.images) == 2
    ]


def test_every_image_its_class_and_its_map():
    tops, overlays = drawn(
        plot_class_activation(IMAGES, MAPS, classes=CLASSES, class_names=NAMES, title="animals")
    )
    assert len(tops) == len(overlays) == len(IMAGES)
    for index, (top, overlay) in enumerate(zip(tops, overlays, strict=True)):
        assert top.get_title() == NAMES[CLASSES[index]]
        np.testing.assert_array_equal(top.images[0].get_array(), IMAGES[index])
        grey, colours = overlay.images
        expected = IMAGES[index] @ [0.299, 0.587, 0.114]
        np.testing.assert_allclose(grey.get_array(), expected, rtol=1e-6)
        np.testing.assert_array_equal(colours.get_array(), MAPS[index])
        assert colours.get_clim() == (0, 1) and 0 < colours.get_alpha() < 1


def test_an_overlay_lies_below_its_image():
    figure = plot_class_activation(IMAGES, MAPS)
    figure.draw_without_rendering()
    for top, overlay in zip(*drawn(figure), strict=True):
        above, below = top.get_position(), overlay.get_position()
        assert above.y0 >= below.y1 and above.x0 == pytest.approx(below.x0)


def test_one_scale_of_colours_with_its_meaning():
    figure = plot_class_activation(IMAGES[:1], MAPS[:1], cmap="cividis")
    bars = [axis for axis in figure.axes if axis.get_ylabel()]
    assert [axis.get_ylabel() for axis in bars] == ["class activation (1 = the image's largest)"]
    assert bars[0].get_ylim() == (0, 1)
    assert drawn(figure)[1][0].images[1].get_cmap().name == "cividis"


def test_a_line_runs_round_what_is_above_half():
    image, scores = IMAGES[:1], np.zeros((1, 6, 4))
    scores[0, 2:4, 1:3] = 1
    (overlay,) = drawn(plot_class_activation(image, scores))[1]
    (line,) = overlay.collections
    points = np.concatenate([path.vertices for path in line.get_paths()])
    # Half way between the centres of the places with 1 and of those with 0.
    assert points.min(0).tolist() == [0.5, 1.5] and points.max(0).tolist() == [2.5, 3.5]
    assert not drawn(plot_class_activation(image, 0 * scores))[1][0].collections


def test_floats_and_images_without_colours():
    tops, overlays = drawn(plot_class_activation(IMAGES[..., :1] / 255.0, MAPS))
    for top, overlay in zip(tops, overlays, strict=True):
        assert top.images[0].get_clim() == overlay.images[0].get_clim() == (0, 1)
        assert top.images[0].get_cmap().name == "gray"


def test_titles_without_names_and_without_classes():
    tops, _ = drawn(plot_class_activation(IMAGES[:2], MAPS[:2], classes=CLASSES[:2]))
    assert [axis.get_title() for axis in tops] == ["class 0", "class 2"]
    tops, _ = drawn(plot_class_activation(IMAGES[:2], MAPS[:2]))
    assert [axis.get_title() for axis in tops] == ["", ""]


def test_writes_the_file_and_nothing_else(tmp_path):
    plot_class_activation(IMAGES, MAPS, tmp_path / "maps.png")
    assert [path.name for path in tmp_path.iterdir()] == ["maps.png"]


@pytest.mark.parametrize(
    ("argument", "arguments"),
    [
        ("images", (IMAGES[0], MAPS)),
        ("images", (IMAGES[:0], MAPS[:0])),
        ("images", (np.repeat(IMAGES, 2, -1), MAPS)),
        ("maps", (IMAGES, MAPS[:3])),
        ("maps", (IMAGES, MAPS[:, :3])),
    ],
)
def test_arrays_that_do_not_fit_are_one_sentence(argument, arguments):
    with pytest.raises(ValueError, match=f"^`{argument}` must have ") as caught:
        plot_class_activation(*arguments)
    assert "\n" not in str(caught.value)


def test_classes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"^`classes` must have a length of \d+, one per image"):
        plot_class_activation(IMAGES, MAPS, classes=CLASSES[:3])


def test_a_path_that_is_none():
    """As where the arguments stand in the order of old."""
    with pytest.raises(ValueError, match=r"^`path` must be a path of a file, but is ndarray"):
        plot_class_activation(IMAGES, MAPS, CLASSES)


def test_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(ValueError, match="`path` must be in an existing folder"):
        plot_class_activation(IMAGES, MAPS, path=tmp_path / "absent" / "maps.png")
