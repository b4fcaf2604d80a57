"""A small folder of images with annotations in COCO's format, for tests."""

import json

import numpy as np
import pytest

# Two polygons, compressed and plain run lengths (of pixels 2 to 5 down the first column).
POLYGONS = [[2, 2, 8, 2, 8, 6, 2, 6], [12, 10, 14, 10, 14, 12, 12, 12]]
RUN_LENGTHS = {"size": [16, 20], "counts": [2, 4, 314]}


def content():
    """Two images, and one without objects; the category ids are neither ordered nor dense."""
    return {
        "images": [
            {"id": 7, "file_name": "a.png", "height": 16, "width": 20},
            {"id": 3, "file_name": "deep/b.png", "height": 30, "width": 10},
            {"id": 5, "file_name": "c.png", "height": 8, "width": 8},
        ],
        "annotations": [
            {"id": 0, "image_id": 7, "category_id": 9, "bbox": [2, 2, 12, 10],
             "area": 28, "iscrowd": 0, "segmentation": POLYGONS},
            {"id": 1, "image_id": 7, "category_id": 4, "bbox": [0, 2, 1, 4],
             "area": 4, "iscrowd": 1, "segmentation": RUN_LENGTHS},
            {"id": 2, "image_id": 3, "category_id": 4, "bbox": [-2.5, 25, 5.5, 20],
             "segmentation": [[0, 25, 3, 25, 3, 30, 0, 30]]},
            {"id": 3, "image_id": 3, "category_id": 9, "bbox": [4, 4, 0, 9],
             "segmentation": []},
        ],
        "categories": [{"id": 9, "name": "nine"}, {"id": 4, "name": "four"}],
    }  # fmt: skip


def write(folder, changed=None):
    """Writes images and annotations; returns the arguments of `CocoSource`."""
    pillow = pytest.importorskip("PIL.Image")
    (folder / "images" / "deep").mkdir(parents=True)
    random = np.random.default_rng(0)
    for image in content()["images"]:
        pixels = random.integers(0, 256, (image["height"], image["width"], 3), "uint8")
        pillow.fromarray(pixels).save(folder / "images" / image["file_name"])
    (folder / "annotations.json").write_text(json.dumps(content() if changed is None else changed))
    return folder / "annotations.json", folder / "images"
