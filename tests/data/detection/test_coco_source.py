import contextlib
import copy
import io
import json

import numpy as np
import pytest

from keras_dla.data import CocoSource
from tests.backends import on_pytorch
from tests.data.coco_folder import content, write
from tests.data.shared import shared_path

pytestmark = on_pytorch


def test_examples_are_what_the_file_says(tmp_path):
    source = CocoSource(*write(tmp_path))
    assert (source.class_names, source.category_ids) == (["four", "nine"], [4, 9])
    first, second, third = (source[index] for index in range(len(source)))
    assert [first["image_id"], second["image_id"], third["image_id"]] == [7, 3, 5]
    np.testing.assert_array_equal(first["boxes"], [[2, 2, 14, 12], [0, 2, 1, 6]])
    np.testing.assert_array_equal(first["classes"], [1, 0])
    np.testing.assert_array_equal(first["crowd"], [False, True])
    # As in the file, beyond the border and of no area.
    np.testing.assert_array_equal(second["boxes"], [[-2.5, 25, 3, 45], [4, 4, 4, 13]])
    assert third["boxes"].shape == (0, 4)
    for example in (first, second, third):
        dtypes = [example[key].dtype for key in ("image", "boxes", "classes", "crowd")]
        assert dtypes == ["uint8", "float32", "int64", "bool"]
        assert "masks" not in example


def test_masks_are_drawn(tmp_path):
    pytest.importorskip("pycocotools")
    source = CocoSource(*write(tmp_path), masks=True)
    polygons, run_lengths = source[0]["masks"]
    expected = np.zeros((16, 20), "uint8")
    expected[2:6, 2:8] = expected[10:12, 12:14] = 1
    np.testing.assert_array_equal(polygons, expected)
    expected[:] = 0
    expected[2:6, 0] = 1
    np.testing.assert_array_equal(run_lengths, expected)
    assert source[1]["masks"].sum(axis=(1, 2)).tolist() == [15, 0]
    assert source[2]["masks"].shape == (0, 8, 8)


def test_images_without_objects_can_be_left_out(tmp_path):
    changed = content()
    changed["annotations"][2]["iscrowd"] = changed["annotations"][3]["iscrowd"] = 1
    source = CocoSource(*write(tmp_path, changed), keep_empty=False)
    assert [source.info(index)["image_id"] for index in range(len(source))] == [7]


def test_info_needs_no_image(tmp_path):
    annotations, images = write(tmp_path)
    source = CocoSource(annotations, images)
    (images / "a.png").unlink()
    assert source.info(0) == {"image_id": 7, "height": 16, "width": 20}


def test_ground_truth_passes_through_pycocotools(tmp_path):
    coco = pytest.importorskip("pycocotools.coco")
    pytest.importorskip("PIL")
    truth = CocoSource(*write(tmp_path), masks=True).coco()
    # pycocotools never matches an object with the id 0.
    assert sorted(entry["id"] for entry in truth["annotations"]) == [1, 2, 3, 4]
    dataset = coco.COCO()
    dataset.dataset = json.loads(json.dumps(truth))
    with contextlib.redirect_stdout(io.StringIO()):
        dataset.createIndex()
    [polygons, run_lengths] = dataset.loadAnns(dataset.getAnnIds(imgIds=7))
    assert polygons["area"] == 28
    assert (polygons["category_id"], polygons["iscrowd"]) == (9, 0)
    assert (run_lengths["category_id"], run_lengths["iscrowd"]) == (4, 1)
    assert dataset.annToMask(polygons).sum() == 28
    assert dataset.annToMask(run_lengths).sum() == 4
    # Without an area, it is the box's.
    assert dataset.loadAnns(dataset.getAnnIds(imgIds=3))[0]["area"] == 5.5 * 20


def changed_content(*path, value):
    changed = content()
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return changed


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["categories"], None, "no list 'categories'"),
        (["categories"], [], "no categories"),
        (["images"], [], "no images"),
        (["annotations", 0], 5, "'annotations' that is not a dictionary .number 0."),
        (["categories", 0, "id"], "nine", "category without a whole number 'id'"),
        (["categories", 0, "id"], 4, "an id that occurs twice in 'categories'"),
        (["images", 1, "id"], 7, "an id that occurs twice in 'images'"),
        (["images", 1, "width"], 0, "image without a whole number .*'width': 0"),
        (["images", 1, "file_name"], None, "an image without a 'file_name'"),
        (["images", 1, "file_name"], "../b.png", "leads out of the image folder .'../b.png'"),
        (["images", 1, "file_name"], "deep/../../b.png", "leads out of the image folder"),
        (["images", 1, "file_name"], "..\\b.png", "leads out of the image folder"),
        (["images", 1, "file_name"], "/etc/b.png", "leads out of the image folder"),
        (["images", 1, "file_name"], "C:\\b.png", "leads out of the image folder"),
        (["annotations", 2, "image_id"], 4, "number 2. whose image_id 4 is not among its images"),
        (["annotations", 2, "image_id"], [3], "image_id .3. is not"),
        (["annotations", 1, "category_id"], 5, "number 1. whose category_id 5 is not among its"),
        (["annotations", 1, "bbox"], [1, 2, 3], "bbox .1, 2, 3. is not .x, y, width, height."),
        (["annotations", 1, "bbox"], [1, 2, 3, "four"], "bbox .* is not"),
        (["annotations", 1, "bbox"], [1, 2, 3, float("nan")], "is not .* finite"),
        (["annotations", 1, "bbox"], [1, 2, 3, 10**400], "is not .* finite"),
        (["annotations", 1, "bbox"], {"x": 1}, "bbox .* is not"),
        (["annotations", 1, "bbox"], [1, 2, -3, 4], "has a negative width or height"),
        (["annotations", 1, "iscrowd"], 2, "iscrowd is neither 0 nor 1"),
        (["annotations", 1, "area"], "four", "area is not a finite number"),
        (["annotations", 1, "segmentation"], "no", "number 1. with a segmentation that is nei"),
        (["annotations", 1, "segmentation"], [[1, 2, 3]], "at least three points"),
    ],
)
def test_a_file_that_is_not_coco_is_refused(tmp_path, path, value, message):
    annotations, images = write(tmp_path, changed_content(*path, value=value))
    with pytest.raises(ValueError, match=message) as error:
        CocoSource(annotations, images, masks=True)
    assert "`annotations` must be a file in COCO's format" in str(error.value)
    assert str(annotations) in str(error.value)


def boxes_content(*boxes):
    """Boxes in the image of 8 x 8."""
    annotations = [{"image_id": 5, "category_id": 4, "bbox": list(box)} for box in boxes]
    return content() | {"annotations": annotations}


def test_corners_in_place_of_extents_are_refused(tmp_path):
    annotations, images = write(tmp_path, boxes_content((1, 1, 3, 3), (4, 4, 8, 8), (2, 5, 6, 8)))
    with pytest.raises(ValueError, match=r"look like \[x1, y1, x2, y2\].*2 of 3 leave"):
        CocoSource(annotations, images)


@pytest.mark.parametrize(
    "boxes",
    [
        [(1, 1, 3, 3), (4, 4, 8, 8)],  # half of them
        [(4, 4, 5, 5), (4.2, 0, 4.8, 8)],  # beyond the border by no more than a pixel
        [(6, 6, 4, 4), (7, 1, 5, 4)],  # no corners
    ],
)
def test_boxes_that_leave_their_image_may_be_extents(tmp_path, boxes):
    assert len(CocoSource(*write(tmp_path, boxes_content(*boxes)))) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "something other than JSON"),
        ("[" * 100_000, "something other than JSON"),
        ("\ud800".encode("utf-8", "surrogatepass"), "something other than JSON"),
        ("[1]", "no dictionary with images, annotations, categories"),
        ("{}", "no list 'images' and no list 'annotations' and no list 'categories'"),
    ],
)
def test_other_files_are_refused(tmp_path, text, message):
    path = tmp_path / "annotations.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=message):
        CocoSource(path, tmp_path)


def test_missing_files_are_named(tmp_path):
    annotations, images = write(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"`annotations` must be the path.*nothing\.json"):
        CocoSource(tmp_path / "nothing.json", images)
    with pytest.raises(FileNotFoundError, match=r"`images` must be the path of a folder.*nowhere"):
        CocoSource(annotations, tmp_path / "nowhere")
    (images / "deep" / "b.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks 'deep/b\.png'$"):
        CocoSource(annotations, images)
    (images / "c.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks 'deep/b\.png' and 1 more"):
        CocoSource(annotations, images)


def test_an_image_of_another_size_is_refused(tmp_path):
    changed = changed_content("images", 0, "height", value=17)
    source = CocoSource(*write(tmp_path, changed))
    with pytest.raises(ValueError, match=r"a.png' must have .*\(17, 20\), but has \(16, 20\)"):
        source[0]


def test_no_object_at_all(tmp_path):
    changed = content() | {"annotations": []}
    folder = write(tmp_path, changed)
    assert CocoSource(*folder)[0]["boxes"].shape == (0, 4)
    with pytest.raises(ValueError, match="`annotations` must have an object"):
        CocoSource(*folder, keep_empty=False)


@pytest.mark.parametrize("index", [-1, 3])
def test_an_example_beyond_the_end_is_refused(tmp_path, index):
    source = CocoSource(*write(tmp_path))
    with pytest.raises(IndexError, match=f"from 0 to 2.*{index}"):
        source[index]


def test_ground_truth_is_a_copy(tmp_path):
    source = CocoSource(*write(tmp_path))
    before = copy.deepcopy(source.coco())
    source.coco()["annotations"][0]["category_id"] = 1000
    assert source.coco() == before


def test_blood_cells():
    folder = shared_path("data", "bccd")
    pytest.importorskip("PIL")
    for split, size in (("train", 205), ("val", 87), ("test", 72)):
        source = CocoSource(folder / f"{split}.json", folder / "images")
        assert len(source) == size
        assert source.class_names == ["RBC", "WBC", "Platelets"]
        example = source[0]
        assert example["image"].shape == (480, 640, 3)
        assert len(example["boxes"]) > 0
        count = len(json.loads((folder / f"{split}.json").read_text())["annotations"])
        assert len(source.coco()["annotations"]) == count
