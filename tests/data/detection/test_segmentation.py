import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from keras_dla.data.detection.segmentation import (
    check_segmentation,
    decode_segmentations,
    encode_masks,
)
from tests.backends import on_pytorch

pytestmark = on_pytorch

MASKS = arrays(
    "uint8", array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 1)
)


@given(mask=MASKS)
def test_a_mask_survives_run_lengths(mask):
    [code] = encode_masks(mask[None])
    check_segmentation(code, *mask.shape)
    np.testing.assert_array_equal(decode_segmentations([code], *mask.shape)[0], mask)


@given(mask=MASKS)
def test_run_lengths_are_those_of_pycocotools(mask):
    codec = pytest.importorskip("pycocotools.mask")
    [code] = encode_masks(mask[None])
    compressed = codec.frPyObjects(code, *mask.shape)
    assert compressed["counts"] == codec.encode(np.asfortranarray(mask))["counts"]
    text = {"size": list(mask.shape), "counts": compressed["counts"].decode("ascii")}
    check_segmentation(text, *mask.shape)
    np.testing.assert_array_equal(decode_segmentations([text], *mask.shape)[0], mask)


def test_long_runs_are_those_of_pycocotools():
    codec = pytest.importorskip("pycocotools.mask")
    mask = np.zeros((700, 900), "uint8")
    mask[100:650, 20:800] = 1
    mask[300:310] = 0
    text = codec.encode(np.asfortranarray(mask))["counts"].decode("ascii")
    decoded = decode_segmentations([{"size": [700, 900], "counts": text}], 700, 900)
    np.testing.assert_array_equal(decoded[0], mask)


@pytest.mark.parametrize(
    "segmentation",
    [
        {"size": [4, 5], "counts": [20, 1]},
        {"size": [4, 5], "counts": [19]},
        {"size": [4, 5], "counts": [-1, 21]},
        {"size": [4, 5], "counts": [20.0]},
        {"size": [4, 5], "counts": [True, 19]},
        {"size": [4, 5], "counts": "no run lengths"},
        {"size": [4, 5], "counts": "o" * 1000},
        {"size": [4, 5], "counts": "\u20ac"},
        {"size": [4, 5], "counts": None},
        {"size": [5, 4], "counts": [20]},
        {"counts": [20]},
        [[0, 0, 1, 1, 2]],
        [[0, 0, 1, 1]],
        [[0, 0, 1, 1, 2, float("nan")]],
        [[0, 0, 1, 1, 2, 1e30]],
        [[0, 0, 1, 1, 2, 10**400]],
        [[0, 0, 1, 1, 2, "3"]],
        [[[0], [0], [1], [1], [2], [2]]],
        [[0, 0, 1, 1, 2, [3]]],
        "[[0, 0, 1, 1, 2, 2]]",
        None,
    ],
)
def test_wrong_segmentations_are_refused(segmentation):
    with pytest.raises(ValueError, match=r"run lengths|segmentation"):
        check_segmentation(segmentation, 4, 5)


def test_polygons_beyond_the_image_are_cut_off():
    pytest.importorskip("pycocotools")
    far = [[-90_000, -90_000, 90_000, -90_000, 90_000, 90_000, -90_000, 90_000]]
    check_segmentation(far, 4, 5)
    assert decode_segmentations([far], 4, 5).all()
