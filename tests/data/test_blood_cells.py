import hashlib
import itertools
import json
from importlib import resources

import numpy as np
import pytest

from keras_dla.data import (
    BLOOD_CELL_CLASSES,
    BLOOD_CELL_MEAN,
    BLOOD_CELL_STD,
    load_blood_cells,
)
from tests.backends import on_pytorch
from tests.data.shared import shared_path


def test_shapes_and_balance():
    for (images, labels), count in zip(load_blood_cells(), (280, 66), strict=True):
        assert images.shape == (3 * count, 32, 32, 3)
        assert (images.dtype, labels.dtype) == (np.uint8, np.int64)
        np.testing.assert_array_equal(np.bincount(labels), [count] * len(BLOOD_CELL_CLASSES))


def test_no_image_occurs_twice():
    parts = load_blood_cells()
    digests = [hashlib.sha256(image).digest() for images, _ in parts for image in images]
    assert len(set(digests)) == len(digests)


def test_mean_and_deviation_are_those_of_the_training_images():
    images = load_blood_cells()[0][0] / 255
    np.testing.assert_allclose(images.mean((0, 1, 2)), BLOOD_CELL_MEAN, atol=5e-5)
    np.testing.assert_allclose(images.std((0, 1, 2)), BLOOD_CELL_STD, atol=5e-5)


def test_the_mean_colour_tells_most_test_images_apart():
    (x_train, y_train), (x_test, y_test) = load_blood_cells()
    train, test = (
        np.concatenate([x.mean((1, 2)), x.std((1, 2))], axis=1) for x in (x_train, x_test)
    )
    centres = np.stack([train[y_train == label].mean(0) for label in range(3)])
    nearest = np.linalg.norm(test[:, None] - centres, axis=-1).argmin(1)
    assert np.mean(nearest == y_test) > 0.8


def test_the_licence_lies_beside_the_data():
    text = resources.files("keras_dla.data").joinpath("blood_cells.LICENSE.txt").read_text()
    assert "MIT License" in text
    assert "Copyright (c) 2017 shenggan" in text


@on_pytorch
def test_the_file_can_be_made_again():
    folder = shared_path("data", "bccd")
    pytest.importorskip("PIL")
    from tests.data.make_blood_cells import make

    arrays = make(folder)
    stored = itertools.chain.from_iterable(load_blood_cells())
    for name, array in zip(("x_train", "y_train", "x_test", "y_test"), stored, strict=True):
        # JPEG decoders may round differently.
        assert np.abs(arrays[name].astype(int) - array).max() <= 2


def test_training_and_test_images_come_from_different_photographs():
    folder = shared_path("data", "bccd")
    pytest.importorskip("PIL")
    from tests.data.make_blood_cells import SPLITS

    files = {
        split: {
            image["file_name"]
            for name in names
            for image in json.loads((folder / name).read_text())["images"]
        }
        for split, names in SPLITS.items()
    }
    assert files["train"]
    assert files["train"].isdisjoint(files["test"])
