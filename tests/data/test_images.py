import io

import numpy as np
import pytest

from keras_dla.data.images import read_header, read_image, resize_image
from tests.backends import on_pytorch

pytestmark = on_pytorch

pillow = pytest.importorskip("PIL.Image")
RED = np.full((5, 7, 3), (200, 10, 30), "uint8")


@pytest.mark.parametrize(
    ("mode", "name", "expected"),
    [
        ("RGB", "a.png", (200, 10, 30)),
        ("RGBA", "a.png", (200, 10, 30)),
        ("P", "a.png", (200, 10, 30)),
        ("P", "a.gif", (200, 10, 30)),
        ("CMYK", "a.tif", (200, 10, 30)),
        ("L", "a.png", (69, 69, 69)),
        ("LA", "a.png", (69, 69, 69)),
        ("1", "a.png", None),
    ],
)
def test_every_mode_becomes_rgb(tmp_path, mode, name, expected):
    image = pillow.fromarray(RED)
    if mode == "P":
        image = image.quantize(4)
    image.convert(mode).save(tmp_path / name)
    read = read_image(tmp_path / name)
    assert read.dtype == np.uint8
    assert read.shape == RED.shape
    assert read_header(tmp_path / name)[:2] == RED.shape[:2]
    if expected is not None:
        np.testing.assert_allclose(read, np.broadcast_to(expected, RED.shape), atol=1)


def test_16_bits_keep_their_upper_8(tmp_path):
    grey = (np.arange(35, dtype="uint16") * 1800).reshape(5, 7)
    pillow.fromarray(grey).save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(read, np.repeat(grey[:, :, None] >> 8, 3, axis=2))


def test_the_contents_of_a_file_are_read():
    file = io.BytesIO()
    pillow.fromarray(RED).save(file, "PNG")
    np.testing.assert_array_equal(read_image(file.getvalue()), RED)


def broken_files():
    file = io.BytesIO()
    pillow.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), "uint8")).save(
        file, "JPEG"
    )
    png = io.BytesIO()
    pillow.fromarray(RED).save(png, "PNG")
    return {
        "cut off": file.getvalue()[:700],
        "empty": b"",
        "text": b"no image",
        "damaged": png.getvalue()[:40] + b"\xff\xff" + png.getvalue()[42:],
        # Pillow starts a program to draw it.
        "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 2 2\n%%EndComments\n",
    }


@pytest.mark.parametrize("kind", ["cut off", "empty", "text", "damaged", "PostScript"])
def test_a_file_that_is_no_image_is_named(tmp_path, kind):
    (tmp_path / "a.jpg").write_bytes(broken_files()[kind])
    with pytest.raises(ValueError, match=r"the image file '.*a.jpg' cannot be read"):
        read_image(tmp_path / "a.jpg")


def test_an_image_of_its_size_is_left_alone():
    assert resize_image(RED, 5, 7) is RED


def test_resizing_by_half_averages():
    image = np.random.default_rng(0).integers(0, 256, (2, 2, 3), "uint8")
    resized = resize_image(image, 1, 1)
    np.testing.assert_allclose(resized[0, 0], image.mean((0, 1)), atol=1)
    assert resize_image(RED, 10, 21).tolist() == np.full((10, 21, 3), RED[0, 0]).tolist()
