import builtins

import numpy as np
import pytest

from keras_dla.cli.errors import CommandError
from keras_dla.cli.options.class_names import class_names
from keras_dla.cli.options.image_files import read_image
from keras_dla.cli.options.image_size import ImageInput
from tests.data.shared import shared_path

Image = pytest.importorskip("PIL.Image", reason="needs Pillow, which reads images")

# Left half black, right half white.
HALVES = np.zeros((8, 16, 3), "uint8")
HALVES[:, 8:] = 255


def wanted(height, width, channels=3):
    return ImageInput(height, width, channels, "channels_last")


def saved(folder, image, name="a.png", **options):
    image.save(folder / name, **options)
    return str(folder / name)


def test_an_image_is_squeezed(tmp_path):
    path = saved(tmp_path, Image.fromarray(HALVES))
    image = read_image(path, wanted(4, 4))
    assert image.shape == (4, 4, 3)
    assert image[:, 0].max() == 0
    assert image[:, 3].min() == 255


def test_or_its_middle_is_cut_out(tmp_path):
    pixels = HALVES.copy()
    pixels[:, :4] = (255, 0, 0)
    path = saved(tmp_path, Image.fromarray(pixels))
    np.testing.assert_array_equal(read_image(path, wanted(8, 8), crop=True), pixels[:, 4:12])


def test_the_size_of_the_image_leaves_its_pixels(tmp_path):
    path = saved(tmp_path, Image.fromarray(HALVES))
    np.testing.assert_array_equal(read_image(path, wanted(8, 16)), HALVES)


def test_grey_and_colour(tmp_path):
    grey = saved(tmp_path, Image.fromarray(HALVES[..., 0]), "grey.png")
    assert read_image(grey, wanted(8, 16)).shape == (8, 16, 3)
    colour = saved(tmp_path, Image.fromarray(HALVES), "colour.png")
    np.testing.assert_array_equal(read_image(colour, wanted(8, 16, 1)), HALVES[..., :1])


def test_a_camera_that_lay_on_its_side(tmp_path):
    turned = Image.fromarray(HALVES)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees, clockwise
    path = saved(tmp_path, turned, "turned.png", exif=exif)
    image = read_image(path, wanted(16, 8))
    assert image[:8].max() == 0
    assert image[8:].min() == 255


def test_16_bits_are_read_as_their_higher_8_whatever_the_colours(tmp_path):
    """Pillow itself does so with colours, and cuts grey off at 255."""
    path = saved(tmp_path, Image.fromarray(np.full((4, 4), 0x5AFF, "uint16")))
    assert set(read_image(path, wanted(4, 4)).flatten().tolist()) == {0x5A}


def test_values_that_do_not_say_which_is_white(tmp_path):
    path = saved(tmp_path, Image.fromarray(np.full((4, 4), 200, "int32")), "a.tif")
    with pytest.raises(CommandError, match="numbers from 200 to 200, of which white is unknown"):
        read_image(path, wanted(4, 4))
    path = saved(tmp_path, Image.fromarray(np.full((4, 4), 1.0, "float32")), "a.tif")
    assert read_image(path, wanted(4, 4)).min() == 255


def test_an_image_that_is_too_large(tmp_path, monkeypatch):
    path = saved(tmp_path, Image.fromarray(HALVES))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    with pytest.raises(CommandError, match="is too large: an image must have at most 0 million"):
        read_image(path, wanted(4, 4))


def test_formats_that_run_programs_are_not_read(tmp_path):
    path = saved(tmp_path, Image.fromarray(HALVES), "a.eps")
    with pytest.raises(CommandError, match="cannot be read as an image"):
        read_image(path, wanted(4, 4))


def test_a_missing_pillow_names_the_extra(monkeypatch):
    original = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "PIL":
            raise ImportError(f"No module named {name!r}")
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(CommandError, match=r"needs Pillow: pip install 'keras-dla\[plot\]'"):
        read_image("a.png", wanted(4, 4))


@pytest.mark.parametrize(
    ("preset", "classes"), [("cifar10", 10), ("cifar100", 100), ("blood_cells", 3)]
)
def test_presets_have_a_name_for_each_class(preset, classes):
    assert len(set(class_names(preset, classes))) == classes


def test_the_names_of_cifar100_are_those_of_the_data_set():
    path = shared_path("data", "tensorflow_datasets", "cifar100", "3.0.2", "label.labels.txt")
    names = path.read_text().split()
    assert class_names("cifar100", 100) == [name.replace("_", " ") for name in names]
