"""Images are read as viewers show them, in every orientation, format and depth."""

import io

import numpy as np
import pytest

from keras_dla.data.images import read_header, read_image

pillow = pytest.importorskip("PIL.Image")
# Rows and columns differ, and every pixel's place can be told; smooth, so that JPEG keeps it.
SEEN = np.add.outer(np.arange(24) * 6, np.arange(40) * 2)[..., None] + np.array([0, 20, 30])
SEEN = SEEN.astype("uint8")
# How a sensor stores what is seen, by EXIF's definition of where its first row and column are.
STORED = {
    1: SEEN,
    2: SEEN[:, ::-1],
    3: SEEN[::-1, ::-1],
    4: SEEN[::-1],
    5: SEEN.swapaxes(0, 1),
    6: SEEN.swapaxes(0, 1)[::-1],
    7: SEEN.swapaxes(0, 1)[::-1, ::-1],
    8: SEEN.swapaxes(0, 1)[:, ::-1],
}


def photograph(orientation, form="PNG"):
    image = pillow.fromarray(np.ascontiguousarray(STORED[orientation]))
    exif = image.getexif()
    exif[274] = orientation
    file = io.BytesIO()
    options = {"quality": 95} if form == "JPEG" else {"lossless": True} if form == "WEBP" else {}
    image.save(file, form, exif=exif, **options)
    return file.getvalue()


@pytest.mark.parametrize("form", ["PNG", "TIFF", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", STORED)
def test_photographs_are_upright(orientation, form):
    file = photograph(orientation, form)
    tolerance = 8 if form == "JPEG" else 0
    np.testing.assert_allclose(read_image(file).astype(int), SEEN, atol=tolerance)
    stored = read_image(file, as_stored=True)
    np.testing.assert_allclose(stored.astype(int), STORED[orientation], atol=tolerance)
    header = read_header(file)
    assert header == (*stored.shape[:2], orientation)
    assert header.seen == SEEN.shape[:2]


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_unknown_orientation_turns_nothing(orientation):
    image = pillow.fromarray(SEEN)
    exif = image.getexif()
    exif[274] = orientation
    file = io.BytesIO()
    image.save(file, "PNG", exif=exif)
    np.testing.assert_array_equal(read_image(file.getvalue()), SEEN)


def saved(pixels, form="TIFF", **options):
    file = io.BytesIO()
    pillow.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


RAMP = np.linspace(0, 1, 35).reshape(5, 7)


@pytest.mark.parametrize(
    "file",
    [
        saved(RAMP.astype("float32")),
        saved((RAMP * 65535).astype("uint16"), "PNG"),
        saved((RAMP * 65535).astype("uint16")),
        saved((RAMP * 65535).astype("int32")),
        saved((RAMP * 4095).astype("uint16"), tiffinfo={281: 4095}),
        saved((RAMP * 255).astype("uint16"), tiffinfo={281: 255}),
    ],
    ids=["fractions", "16 PNG", "16 TIFF", "16 in 32", "12 in 16", "8 in 16"],
)
def test_deep_images_keep_their_brightness(file):
    grey = read_image(file)[..., 0].astype(float)
    np.testing.assert_allclose(grey, RAMP * 255, atol=1.5)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (RAMP.astype("float32") * 300, "from 0 to 1, but has decimal fractions from 0 to 300"),
        (RAMP.astype("float32") - 1, "from 0 to 1"),
        (np.full((5, 7), np.nan, "float32"), "from 0 to 1"),
        ((RAMP * 4095).astype("uint16"), "16 bits, up to 65535, but has whole numbers from 0"),
        ((RAMP * 255).astype("int32"), "16 bits"),
        ((RAMP * 2**30).astype("int32"), "16 bits"),
        (RAMP.astype("int32") - 5, "16 bits"),
    ],
)
def test_what_would_come_out_black_is_refused(pixels, message):
    with pytest.raises(ValueError, match=f"'a.tif' must have 8 bits per channel.*{message}"):
        read_image(saved(pixels), name="a.tif")
