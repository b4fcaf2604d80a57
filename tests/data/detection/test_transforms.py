import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dla.data import ShapesSource
from keras_dla.data.detection.object_targets import choose_objects, pad_objects
from keras_dla.data.detection.transforms import flip, padded_shape_of, resize, resized_shape
from tests.backends import on_pytorch

pytestmark = on_pytorch

SIDES = st.integers(1, 3000)


def sample_of(index, image_size=(96, 128), mask_size=56):
    source = ShapesSource(100, image_size, shape_sizes=(16, 48))
    return source[index], choose_objects(source[index], 100, mask_size)


def box_of(mask):
    rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])


def resize_mask(mask, height, width):
    """The pixel that lies under the centre of each new one."""
    rows, columns = mask.shape
    down = ((np.arange(height) + 0.5) * rows / height).astype(int)
    right = ((np.arange(width) + 0.5) * columns / width).astype(int)
    return mask[np.ix_(down, right)]


def touched(mask, height, width):
    """The new pixels that any pixel of the mask touches."""

    def overlaps(length, pixels):
        edges = np.arange(pixels + 1) * length / pixels
        places = np.arange(length)
        return (edges[:-1, None] < places + 1) & (edges[1:, None] > places)

    rows, columns = mask.shape
    return overlaps(rows, height) @ mask.astype(bool) @ overlaps(columns, width).T


def paste(cut, box, height, width):
    """Puts a mask in the frame of its box back into the image."""
    left, top, right, bottom = box
    down = (np.arange(height) + 0.5 - top) / (bottom - top) * len(cut)
    right = (np.arange(width) + 0.5 - left) / (right - left) * len(cut)
    inside = np.outer((down >= 0) & (down < len(cut)), (right >= 0) & (right < len(cut)))
    cells = [np.clip(places, 0, len(cut) - 1).astype(int) for places in (down, right)]
    return cut[np.ix_(*cells)] * inside


@given(height=SIDES, width=SIDES, shorter=st.integers(32, 900), more=st.integers(0, 900))
def test_sides_keep_their_limits_and_their_ratio(height, width, shorter, more):
    new = resized_shape(height, width, shorter, shorter + more)
    assert min(new) <= shorter
    assert max(new) <= shorter + more
    # One of the limits is met.
    assert min(new) == shorter or max(new) == shorter + more
    scales = new[0] / height, new[1] / width
    # As nearly as whole pixels permit; a side is at least one pixel.
    exact = min(shorter / min(height, width), (shorter + more) / max(height, width))
    for scale, side in zip(scales, (height, width), strict=True):
        assert abs(scale - exact) * side <= 0.5 + 1e-6 or side * exact < 0.5


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        # By MMDetection's documented rule for (1333, 800).
        ((480, 640), (800, 1067)),
        ((640, 480), (1067, 800)),
        ((427, 640), (800, 1199)),
        ((300, 640), (625, 1333)),
        ((1600, 3000), (711, 1333)),
    ],
)
def test_sizes_of_the_reference_setting(image, expected):
    assert resized_shape(*image, 800, 1333) == expected


@given(height=SIDES, width=SIDES, rows=st.integers(1, 20), columns=st.integers(1, 20))
def test_an_image_fits_into_the_padded_shape(height, width, rows, columns):
    shape = rows * 32, columns * 32
    new = resized_shape(height, width, min(shape), 1333, shape)
    assert all(side <= limit for side, limit in zip(new, shape, strict=True))


@given(shapes=st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=5))
def test_the_padded_shape_is_the_least(shapes):
    shape = padded_shape_of(shapes)
    for side, lengths in zip(shape, zip(*shapes, strict=True), strict=True):
        assert side % 32 == 0
        assert side - 32 < max(lengths) <= side


@pytest.mark.parametrize("index", range(5))
def test_flipping_twice_is_the_identity(index):
    _, sample = sample_of(index)
    once, twice = flip(sample), flip(flip(sample))
    assert np.any(once["image"] != sample["image"])
    assert np.any(once["boxes"] != sample["boxes"])
    assert np.any(once["masks"] != sample["masks"])
    for key, value in sample.items():
        np.testing.assert_array_equal(twice[key], value)


@given(index=st.integers(0, 99), shorter=st.integers(40, 250), flipped=st.booleans())
@settings(deadline=None, max_examples=40)
def test_boxes_and_masks_move_with_the_image(index, shorter, flipped):
    pytest.importorskip("PIL")
    example, sample = sample_of(index)
    height, width = resized_shape(96, 128, shorter, 10_000)
    moved = resize(sample, height, width)
    moved = flip(moved) if flipped else moved
    assert moved["image"].shape == (height, width, 3)
    for mask, box, cut in zip(example["masks"], moved["boxes"], moved["masks"], strict=True):
        mask = mask[:, ::-1] if flipped else mask
        assert np.abs(box_of(touched(mask, height, width)) - box).max() <= 1
        expected = resize_mask(mask, height, width)
        pasted = paste(cut, box, height, width)
        overlap = (pasted & expected).sum() / (pasted | expected).sum()
        assert overlap > 0.85


def test_the_image_is_where_its_boxes_are():
    pytest.importorskip("PIL")
    image = np.zeros((60, 80, 3), "uint8")
    image[12:30, 20:52] = 255
    sample = {"image": image, "boxes": np.array([[20, 12, 52, 30]], "float32")}
    for height, width in ((60, 80), (120, 160), (45, 60), (100, 133)):
        for moved in (resize(sample, height, width), flip(resize(sample, height, width))):
            bright = moved["image"][..., 0] > 127
            assert np.abs(box_of(bright) - moved["boxes"][0]).max() <= 1


def test_resizing_leaves_boxes_inside_the_image():
    pytest.importorskip("PIL")
    sample = {"image": np.zeros((333, 77, 3), "uint8"), "boxes": np.float32([[0, 0, 77, 333]])}
    for side in range(32, 700, 7):
        boxes = resize(sample, side, side)["boxes"]
        np.testing.assert_allclose(boxes, [[0, 0, side, side]], rtol=1e-6)
        assert boxes.max() <= side


def test_only_objects_to_learn_stay():
    example = {
        "image": np.zeros((20, 30, 3), "uint8"),
        "boxes": np.array(
            [
                [-5, -5, 4, 6],  # partly outside: cut off
                [0, 0, 30, 20],  # a crowd
                [40, 3, 50, 9],  # outside
                [3, 3, 3, 9],  # of no width
                [3, 3, 9, 3],  # of no height
                [29.5, 3, 40, 9],  # half a pixel inside
                [28, 18, 99, 99],  # partly outside: cut off
            ],
            "float32",
        ),
        "classes": np.arange(7),
        "crowd": np.arange(7) == 1,
        "masks": np.ones((7, 20, 30), "uint8"),
    }
    objects = choose_objects(example, 100, mask_size=4)
    np.testing.assert_array_equal(objects["boxes"], [[0, 0, 4, 6], [28, 18, 30, 20]])
    np.testing.assert_array_equal(objects["classes"], [0, 6])
    assert objects["masks"].shape == (2, 4, 4)
    assert "masks" not in choose_objects(example, 100)
    assert example["boxes"][0, 0] == -5


def test_of_too_many_objects_the_largest_stay():
    sides = np.array([3, 9, 5, 9, 7], "float32")
    example = {
        "image": np.zeros((20, 30, 3), "uint8"),
        "boxes": np.stack([0 * sides, 0 * sides, sides, sides], axis=1),
        "classes": np.arange(5),
        "crowd": np.zeros(5, bool),
    }
    assert choose_objects(example, 3)["classes"].tolist() == [1, 3, 4]


def test_padding_to_a_fixed_number():
    _, sample = sample_of(3)
    empty = {key: value[:0] for key, value in sample.items() if key != "image"}
    batch = pad_objects([sample, empty], max_objects=7)
    count = len(sample["boxes"])
    assert {key: value.dtype for key, value in batch.items()} == {
        "boxes": "float32",
        "classes": "int32",
        "masks": "uint8",
    }
    for key, fill in (("boxes", 0), ("classes", -1), ("masks", 0)):
        assert batch[key].shape == (2, 7, *sample[key].shape[1:])
        np.testing.assert_array_equal(batch[key][0, :count], sample[key])
        assert np.all(batch[key][0, count:] == fill)
        assert np.all(batch[key][1] == fill)
