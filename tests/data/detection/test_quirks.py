"""Every quirk of the zoo is read right, warned of, or refused in one sentence."""

import warnings

import numpy as np
import pytest

from keras_dla.data import CocoSource, DetectionDataset
from keras_dla.detection import evaluate_coco
from tests.backends import on_pytorch

pytest.importorskip("PIL.Image")
pytest.importorskip("pycocotools")

from tests.data.detection.quirk_list import QUIRKS
from tests.data.detection.quirks import COLOURS, NAMES, REFUSED, RIGHT, WARNED


def test_the_zoo_is_large():
    assert len(QUIRKS) >= 150
    verdicts = [verdict for _, verdict, _ in QUIRKS.values()]
    assert {verdicts.count(verdict) > 5 for verdict in (RIGHT, REFUSED)} == {True}


def examples(arguments):
    source = CocoSource(**arguments)
    return source, [source[index] for index in range(len(source))]


# What is read does not depend on the backend.
@on_pytorch
@pytest.mark.parametrize("name", QUIRKS)
def test_verdict(tmp_path, name):
    make, verdict, words = QUIRKS[name]
    arguments = make().write(tmp_path)
    if verdict == REFUSED:
        with pytest.raises(ValueError) as caught:
            examples(arguments)
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)
        return
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        source, read = examples(arguments)
    told = [str(warning.message) for warning in told if warning.category is UserWarning]
    assert bool(told) == (verdict == WARNED), told
    assert words in " ".join(told) or verdict == RIGHT
    check_places(source, read)
    check_dataset(source, arguments.get("masks", False), verdict)


def check_places(source, read):
    """The boxes that are learned lie on their objects, and have their class."""
    shares = []
    colours = {name.split(" (")[0]: COLOURS[number] for number, name in NAMES.items()}
    colours["\u8d64"] = COLOURS[1]
    for example in read:
        pixels = example["image"].astype(int)
        is_grey = (pixels == pixels[..., :1]).all()
        for box, number, crowd in zip(
            example["boxes"], example["classes"], example["crowd"], strict=True
        ):
            left, top, right, bottom = np.round(box).astype(int)
            inside = pixels[max(top, 0) : bottom, max(left, 0) : right]
            if crowd or not inside.size:
                continue
            colour = np.array(colours[source.class_names[number].split(" (")[0]])
            wanted = np.full(3, colour.mean()) if is_grey else colour
            shares.append((np.abs(inside - wanted).max(-1) < 40).mean())
    assert len(shares) >= 6
    assert np.mean(shares) > 0.9


class Oracle:
    """Finds what the batches say is to be found."""

    def __init__(self, dataset):
        self.batches = (dataset[index][1] for index in range(len(dataset)))

    def predict_on_batch(self, x):
        y = next(self.batches)
        y.pop("masks", None)
        return {**y, "scores": np.where(y["classes"] >= 0, 0.9, 0)}


def check_dataset(source, masks, verdict):
    """What is learned is all there is to find, and has masks where masks are learned."""
    dataset = DetectionDataset(
        source,
        2,
        shorter_side=240,
        flip=0,
        shuffle=False,
        mask_size=14 if masks else None,
        data_format="channels_last",
    )
    for index in range(len(dataset)):
        _, y = dataset[index]
        if masks:
            assert y["masks"][y["classes"] >= 0].any(axis=(1, 2)).all()
    figures = evaluate_coco(Oracle(dataset), dataset)
    assert figures["AP"] == pytest.approx(1) if verdict == RIGHT else figures["AP50"] > 0
