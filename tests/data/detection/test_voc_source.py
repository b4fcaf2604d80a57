"""Folders of Pascal VOC's XML files."""

import numpy as np
import pytest

from keras_dla.data import VocSource

pillow = pytest.importorskip("PIL.Image")
OBJECT = """<object><name>{name}</name><difficult>{difficult}</difficult>
<bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox>
</object>"""
FILE = """<annotation><filename>{file}</filename>
<size><width>40</width><height>30</height><depth>3</depth></size>{objects}</annotation>"""


def write(folder, file="C:\\photos\\a.png", objects=None, text=None):
    (folder / "Annotations").mkdir(exist_ok=True)
    (folder / "JPEGImages").mkdir(exist_ok=True)
    objects = (
        [("dog", 0, (1, 1, 10, 20)), ("cat", 1, (5, 5, 40, 30))] if objects is None else objects
    )
    entries = [OBJECT.format(name=n, difficult=d, box=b) for n, d, b in objects]
    text = FILE.format(file=file, objects="".join(entries)) if text is None else text
    (folder / "Annotations" / "a.xml").write_text(text, encoding="utf-8")
    pillow.new("RGB", (40, 30)).save(folder / "JPEGImages" / "a.png")
    return folder / "Annotations"


def test_boxes_classes_and_difficult_objects(tmp_path):
    source = VocSource(write(tmp_path))
    assert (len(source), source.class_names, source.category_ids) == (1, ["cat", "dog"], [1, 2])
    example = source[0]
    assert example["image"].shape == (30, 40, 3)
    np.testing.assert_array_equal(example["boxes"], [[0, 0, 10, 20], [4, 4, 40, 30]])
    assert example["classes"].tolist() == [1, 0]
    assert example["crowd"].tolist() == [False, True]
    assert source.coco()["annotations"][0]["bbox"] == [0, 0, 10, 20]


def test_given_names_number_the_classes(tmp_path):
    source = VocSource(write(tmp_path), class_names=["dog", "cow", "cat"])
    assert source[0]["classes"].tolist() == [0, 2]
    with pytest.raises(ValueError, match=r"lacks \['cat'\]"):
        VocSource(tmp_path / "Annotations", class_names=["dog"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text": "<annotation>"}, "in Pascal VOC's format, but"),
        ({"text": "<!DOCTYPE a [<!ENTITY b 'c'>]><a/>"}, "has a DOCTYPE"),
        ({"text": "<annotation/>"}, "a size/height that is not a number"),
        ({"objects": [("", 0, (1, 1, 2, 2))]}, "an object without a name"),
        ({"objects": [("dog", 0, (1, 1, "b", 2))]}, "a bndbox/xmax that is not a number"),
        ({"objects": [("dog", 1, (1, 1, 9, 9))]}, "no object that can be learned"),
        ({"objects": [("dog", 0, (9, 9, 1, 1))]}, "negative width"),
        ({"file": "..", "objects": None}, "leads out of the image folder"),
    ],
)
def test_other_files_are_one_sentence(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        VocSource(write(tmp_path, **options))


def test_missing_folders_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="must be a folder of XML files"):
        VocSource(tmp_path)
