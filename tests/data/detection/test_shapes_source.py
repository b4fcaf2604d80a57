import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dla.data import ShapesSource
from tests.backends import on_pytorch

pytestmark = on_pytorch


def assert_same(one, other):
    assert one.keys() == other.keys()
    for key, value in one.items():
        np.testing.assert_array_equal(value, other[key])


@given(
    index=st.integers(0, 99),
    seed=st.integers(0, 2**64),
    height=st.integers(64, 160),
    width=st.integers(64, 160),
)
@settings(deadline=None, max_examples=50)
def test_boxes_are_the_smallest_around_the_visible_masks(index, seed, height, width):
    example = ShapesSource(100, (height, width), seed)[index]
    masks = example["masks"]
    assert example["image"].shape == (height, width, 3)
    assert masks.shape == (len(example["boxes"]), height, width)
    dtypes = [example[key].dtype for key in ("image", "boxes", "classes", "crowd", "masks")]
    assert dtypes == ["uint8", "float32", "int64", "bool", "uint8"]
    assert 1 <= len(masks) <= 5
    # What hides a shape is no part of it.
    assert masks.sum(axis=0).max() <= 1
    for mask, (left, top, right, bottom) in zip(masks, example["boxes"].astype(int), strict=True):
        inside = mask[top:bottom, left:right]
        assert inside.sum() == mask.sum()
        edges = inside[0], inside[-1], inside[:, 0], inside[:, -1]
        assert all(edge.any() for edge in edges)


def test_an_image_depends_on_seed_and_index_alone():
    one, again, longer = ShapesSource(10), ShapesSource(10), ShapesSource(1000)
    for index in (9, 0, 4):
        assert_same(one[index], again[index])
        assert_same(one[index], longer[index])
    assert np.any(one[0]["image"] != one[1]["image"])
    assert np.any(one[0]["image"] != ShapesSource(10, seed=1)[0]["image"])


def test_classes_are_balanced_and_sizes_differ():
    examples = [ShapesSource(300)[index] for index in range(300)]
    counts = np.bincount(np.concatenate([example["classes"] for example in examples]), minlength=3)
    # A share of a third has a standard deviation of about 1.6 % here.
    assert np.all(np.abs(counts / counts.sum() - 1 / 3) < 0.07)
    boxes = np.concatenate([example["boxes"] for example in examples])
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    assert sides.min() < 20
    assert 60 < sides.max() < 64 * 1.35 + 2
    assert {len(example["boxes"]) for example in examples} == {1, 2, 3, 4, 5}


@pytest.mark.parametrize(("class_", "filled"), [(0, np.pi / 4), (1, None), (2, None)])
def test_shapes_have_their_form(class_, filled):
    """What a shape fills of its box: a circle always as much, a polygon by its rotation."""
    shares = []
    source = ShapesSource(400, (256, 256), max_shapes=1, shape_sizes=(60, 64))
    for index in range(150):
        example = source[index]
        box = example["boxes"][0]
        is_whole = box.min() > 0 and box.max() < 256
        if is_whole and example["classes"][0] == class_:
            extent = box[2:] - box[:2]
            shares.append(example["masks"][0].sum() / extent.prod())
    assert len(shares) > 10
    if filled:
        np.testing.assert_allclose(shares, filled, rtol=0.03)
    # A square fills its box at least by half, and wholly where it is upright.
    elif class_ == 1:
        assert min(shares) > 0.48
        assert max(shares) > 0.8
    # A triangle fills its box by half where a side is upright, and always by less than 0.6.
    else:
        assert max(shares) < 0.6
        assert min(shares) > 0.4


def test_shapes_stand_out():
    for index in range(20):
        example = ShapesSource(20, max_shapes=1)[index]
        [mask] = example["masks"].astype(bool)
        left, top, right, bottom = example["boxes"][0].astype(int)
        around = np.zeros_like(mask)
        around[max(top - 3, 0) : bottom + 3, max(left - 3, 0) : right + 3] = True
        inside = example["image"][mask].mean(0)
        outside = example["image"][around & ~mask].mean(0)
        assert np.abs(inside - outside).max() > 30


def test_ground_truth_is_exact():
    source = ShapesSource(5, image_size=(64, 96), shape_sizes=(16, 32))
    truth = source.coco()
    assert [image["id"] for image in truth["images"]] == [0, 1, 2, 3, 4]
    assert {(image["height"], image["width"]) for image in truth["images"]} == {(64, 96)}
    assert [category["name"] for category in truth["categories"]] == source.class_names
    entries = iter(truth["annotations"])
    for index in range(5):
        example = source[index]
        for box, class_, mask in zip(
            example["boxes"], example["classes"], example["masks"], strict=True
        ):
            entry = next(entries)
            assert entry["image_id"] == index
            assert entry["category_id"] == source.category_ids[class_]
            assert entry["area"] == mask.sum() == sum(entry["segmentation"]["counts"][1::2])
            np.testing.assert_array_equal(entry["bbox"], [*box[:2], *(box[2:] - box[:2])])
    assert next(entries, None) is None


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_pycocotools_finds_the_ground_truth_perfect(kind):
    coco = pytest.importorskip("pycocotools.coco")
    evaluation = pytest.importorskip("pycocotools.cocoeval")
    truth, found = coco.COCO(), coco.COCO()
    truth.dataset = ShapesSource(6, image_size=64, shape_sizes=(16, 32)).coco()
    found.dataset = truth.dataset | {
        "annotations": [entry | {"score": 0.5} for entry in truth.dataset["annotations"]]
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        found.createIndex()
        run = evaluation.COCOeval(truth, found, kind)
        run.evaluate()
        run.accumulate()
        run.summarize()
    assert run.stats[0] > 0.999


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"size": 0}, "`size` must be an integer of at least 1, but is 0"),
        ({"image_size": 16}, "`image_size` must be an integer of at least 32, but is 16"),
        ({"image_size": (64, 64, 3)}, "`image_size` must be an int or .height, width."),
        ({"seed": -1}, "`seed` must be an integer of at least 0"),
        ({"max_shapes": 0}, "`max_shapes` must be an integer of at least 1"),
        ({"shape_sizes": 20}, "`shape_sizes` must be a pair of integers, but is 20"),
        ({"shape_sizes": (4, 20)}, "`shape_sizes` must be an integer of at least 8, but is 4"),
        ({"shape_sizes": (40, 20)}, "`shape_sizes` must be in ascending order"),
        ({"image_size": 48}, "shorter side of the image .48., but is .16, 64."),
    ],
)
def test_bad_arguments_are_named(changed, message):
    with pytest.raises(ValueError, match=message):
        ShapesSource(**({"size": 10} | changed))


@pytest.mark.parametrize("index", [-1, 10])
def test_an_example_beyond_the_end_is_refused(index):
    with pytest.raises(IndexError, match=f"from 0 to 9.*{index}"):
        ShapesSource(10)[index]
