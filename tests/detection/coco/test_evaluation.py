import contextlib
import io
import sys

import keras
import numpy as np
import pytest

from keras_dla.detection.coco.evaluation import CocoEvaluation, evaluate_coco
from keras_dla.detection.coco.results import coco_results
from keras_dla.detection.coco.table import OF_CLASS, PRECISIONS, RECALLS
from tests.detection.fakes import CATEGORY_IDS, NAMES, Source, Told, annotation, told

pytest.importorskip("pycocotools", reason="pycocotools is not installed.")

IMAGES = [(11, 60, 80), (5, 64, 48)]
SQUARE, DISC = range(2)
# (image, class, box): the ids of objects begin with 0, which pycocotools would misunderstand.
OBJECTS = [
    (11, SQUARE, (4, 4, 24, 24)),
    (11, DISC, (30, 10, 70, 50)),
    (5, DISC, (8, 16, 24, 40)),
]
SOURCE = Source(IMAGES, [annotation(number, *o) for number, o in enumerate(OBJECTS)])
PERFECT = [
    [(SQUARE, 0.9, (4, 4, 24, 24)), (DISC, 0.8, (30, 10, 70, 50))],
    [(DISC, 0.7, (8, 16, 24, 40))],
]
SCALE = (1.5, 2.0)


def direct(source, results, kind):
    """pycocotools' own summary of its own files."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = source.coco()
        for number, one in enumerate(truth.dataset["annotations"]):
            one["id"] = number + 1
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip((*PRECISIONS, *RECALLS), evaluation.stats, strict=True))


def as_results(detections, kind="bbox"):
    """The same detections as COCO's JSON, written down apart from the code under test."""
    results = []
    for (image_id, height, width), found in zip(IMAGES, detections, strict=True):
        for class_, score, box, *_ in found:
            x1, y1, x2, y2 = box
            known = {"image_id": image_id, "category_id": CATEGORY_IDS[class_]}
            known["score"] = float(np.float32(score))
            if kind == "bbox":
                results.append({**known, "bbox": [x1, y1, x2 - x1, y2 - y1]})
            else:
                code = rectangle(height, width, box)
                results.append({**known, "segmentation": code})
    return results


def rectangle(height, width, box):
    """The run-length code of a rectangle of whole pixels."""
    from pycocotools import mask

    x1, y1, x2, y2 = box
    pixels = np.zeros((height, width), "uint8", order="F")
    pixels[y1:y2, x1:x2] = 1
    return mask.encode(pixels)


def test_perfect_boxes(capsys):
    figures = evaluate_coco(Told(), told(SOURCE, SCALE, 5, PERFECT), by_class=True)
    assert figures == {
        **dict.fromkeys((*PRECISIONS, *RECALLS), pytest.approx(1)),
        **dict.fromkeys(("AP_L", "AR_L"), -1),  # there is no such object
        **{f"{name} of {c}": pytest.approx(1) for name in OF_CLASS for c in NAMES},
    }
    assert capsys.readouterr().out == ""


def test_one_moved_box_by_hand():
    source = Source(IMAGES[:1], [annotation(1, *OBJECTS[0])])
    # Moved by 4.5 of 20 pixels: overlap 15.5 / 24.5 = 0.633, enough for 0.5, 0.55 and 0.6.
    data = told(source, SCALE, 2, [[(SQUARE, 0.5, (8.5, 4, 28.5, 24))]])
    figures = evaluate_coco(Told(), data)
    assert [figures[name] for name in ("AP", "AP50", "AP75")] == pytest.approx([0.3, 1, 0])


def shifted(seed):
    rng = np.random.default_rng(seed)
    detections = [[], []]
    for image_id, class_, box in OBJECTS * 3:
        image = [i for i, _, _ in IMAGES].index(image_id)
        moved = np.clip(np.array(box) + rng.integers(-4, 5, 4), 0, 48).tolist()
        detections[image].append((class_, rng.uniform(), moved))
    detections[0].append((SQUARE, 0.95, (40, 2, 60, 9)))
    return detections


@pytest.mark.parametrize("seed", range(4))
def test_moved_boxes_against_pycocotools(seed):
    detections = shifted(seed)
    figures = evaluate_coco(Told(), told(SOURCE, SCALE, 9, detections))
    expected = direct(SOURCE, as_results(detections), "bbox")
    assert 0 < expected["AP"] < 1
    assert figures == pytest.approx(expected)


def with_masks(source):
    """The same objects, each a rectangle that fills its box."""
    sizes = {i: (h, w) for i, h, w in source.images}
    return Source(
        source.images,
        [
            annotation(n, *o, segmentation=rectangle(*sizes[o[0]], o[2]))
            for n, o in enumerate(OBJECTS)
        ],
    )


def full(detections):
    return [[(*d, np.ones((28, 28))) for d in found] for found in detections]


@pytest.mark.parametrize("seed", range(2))
def test_masks_against_pycocotools(seed):
    source, detections = with_masks(SOURCE), shifted(seed)
    figures = evaluate_coco(Told(), told(source, SCALE, 9, full(detections)), by_class=True)
    expected = direct(source, as_results(detections, "segm"), "segm")
    assert {name: figures[f"mask_{name}"] for name in expected} == pytest.approx(expected)
    assert f"mask_AP50 of {NAMES[1]}" in figures


def test_more_masks_than_a_byte_counts():
    many = [[(d[0], d[1] / n, *d[2:]) for n in range(1, 101) for d in found] for found in PERFECT]
    figures = evaluate_coco(Told(), told(with_masks(SOURCE), SCALE, 200, full(many)))
    assert figures["mask_AP50"] == pytest.approx(1)


def test_masks_differ_from_their_boxes():
    source = with_masks(SOURCE)
    left = np.repeat(np.arange(28)[None] < 16, 28, 0).astype("float32")
    halved = [[(*d, left) for d in found] for found in PERFECT]
    figures = evaluate_coco(Told(), told(source, SCALE, 5, halved))
    assert figures["AP"] == pytest.approx(1)
    # 16 of 28 columns, 0.571: of 20 pixels 11 (0.55), of 40 23, of 16 9, so 0.5 and 0.55 are met.
    assert figures["mask_AP"] == pytest.approx(0.2)


def test_no_masks_found_are_zeros():
    """A detector of masks has their figures in every epoch, also where it finds nothing yet."""
    data = told(with_masks(SOURCE), SCALE, 5, full(PERFECT))
    data.batches[0][0]["detections"]["classes"][:] = -1
    figures = evaluate_coco(Told(), data, by_class=True)
    masks = {name: value for name, value in figures.items() if name.startswith("mask_")}
    assert masks.pop("mask_AP_L") == masks.pop("mask_AR_L") == -1
    assert len(masks) == 16 and set(masks.values()) == {0}
    assert {f"mask_{name}" for name in figures if not name.startswith("mask_")} >= set(masks)


def test_an_object_without_its_mask_is_one_that_no_mask_matches():
    source = with_masks(SOURCE)
    source.annotations[0]["segmentation"] = []
    figures = evaluate_coco(Told(), told(source, SCALE, 5, full(PERFECT)), by_class=True)
    assert figures["AP of disc"] == figures["mask_AP of disc"] == pytest.approx(1)
    assert figures["AP of square"] == pytest.approx(1)
    assert figures["mask_AP of square"] == 0
    assert source.annotations[0]["segmentation"] == []


def test_masks_of_images_without_objects_tell_nothing():
    source = Source(IMAGES, [])
    figures = evaluate_coco(Told(), told(source, SCALE, 5, full(PERFECT)))
    assert len(figures) == 24 and set(figures.values()) == {-1}


def test_masks_without_objects_masks_are_no_figures():
    assert "mask_AP" not in evaluate_coco(Told(), told(SOURCE, SCALE, 5, full(PERFECT)))


def test_images_that_fill_up_a_batch_do_not_count():
    source = Source(IMAGES[:1], SOURCE.annotations[:2])
    wrong = [(SQUARE, 0.99, (0, 0, 50, 50))]
    data = told(source, SCALE, 5, [PERFECT[0], wrong, wrong], filling=2)
    assert evaluate_coco(Told(), data)["AP"] == pytest.approx(1)
    assert coco_results(Told(), data)[1] == [11]


def test_images_that_the_data_set_leaves_out_do_not_count():
    data = told(SOURCE, SCALE, 5, PERFECT[:1])
    assert evaluate_coco(Told(), data)["AP"] == pytest.approx(1)


def test_boxes_end_at_the_image():
    source = Source(IMAGES[:1], [annotation(1, 11, SQUARE, (60, 40, 80, 60))])
    data = told(source, SCALE, 1, [[(SQUARE, 0.5, (60, 40, 99, 90))]])
    assert evaluate_coco(Told(), data)["AP"] == pytest.approx(1)


def test_crowds_are_ignored():
    crowd = annotation(9, 11, SQUARE, (40, 0, 80, 60), iscrowd=1)
    source = Source(IMAGES, [*SOURCE.annotations, crowd])
    in_crowd = [(SQUARE, 0.99, (45, 5, 55, 15)), (SQUARE, 0.98, (60, 5, 70, 15))]
    data = told(source, SCALE, 5, [[*in_crowd, *PERFECT[0]], PERFECT[1]])
    assert evaluate_coco(Told(), data)["AP"] == pytest.approx(1)
    data = told(SOURCE, SCALE, 5, [[*in_crowd, *PERFECT[0]], PERFECT[1]])
    assert evaluate_coco(Told(), data)["AP"] < 0.8


def test_no_detections_are_zeros():
    figures = evaluate_coco(Told(), told(SOURCE, SCALE, 5, [[], []]), by_class=True)
    assert figures.pop("AP_L") == figures.pop("AR_L") == -1
    assert set(figures.values()) == {0}


def test_classes_without_objects_do_not_count():
    source = Source(IMAGES[:1], [annotation(1, *OBJECTS[1])])
    data = told(source, SCALE, 5, PERFECT[:1])
    figures = evaluate_coco(Told(), data, by_class=True)
    assert (figures["AP"], figures["AP of square"]) == (pytest.approx(1), -1)


def test_pasted_masks_end_in_the_results():
    results, _ = coco_results(Told(), told(SOURCE, SCALE, 5, full(PERFECT)))
    from pycocotools import mask

    pixels = mask.decode(results[0]["segmentation"])
    expected = np.zeros((60, 80))
    expected[4:24, 4:24] = 1
    np.testing.assert_array_equal(pixels, expected)


class Trained(keras.Model):
    """A model that is trained on one number and finds what it is told."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)

    def call(self, x):
        return self.dense(x)

    def predict_on_batch(self, x):
        return Told().predict_on_batch(x)


def test_callback_writes_into_the_logs():
    model = Trained()
    model.compile("sgd", "mse")
    callback = CocoEvaluation(told(SOURCE, SCALE, 5, PERFECT), every=2)
    history = model.fit(
        np.ones((2, 1)), np.ones((2, 1)), epochs=5, callbacks=[callback], verbose=0
    ).history
    assert history["val_AP50"] == pytest.approx([1, 1])
    assert history["val_AP_L"] == [-1, -1]
    assert not any("AR" in name for name in history)
    assert len(history["loss"]) == 5


class OfThree(Told):
    classes = 3


def test_another_number_of_classes_is_one_sentence():
    data = told(SOURCE, SCALE, 5, PERFECT)
    sentence = "`dataset` must have as many classes as the detector, 3, but has 2."
    with pytest.raises(ValueError) as caught:
        evaluate_coco(OfThree(), data)
    assert str(caught.value) == sentence
    callback, model = CocoEvaluation(data), Trained()
    model.classes = 3
    model.compile("sgd", "mse")
    with pytest.raises(ValueError) as caught:
        model.fit(np.ones((2, 1)), np.ones((2, 1)), callbacks=[callback], verbose=0)
    assert str(caught.value) == sentence


def test_a_class_that_the_source_does_not_have_is_one_sentence():
    """Of a detector that does not say how many classes it has."""
    data = told(SOURCE, SCALE, 5, [[(2, 0.9, (4, 4, 24, 24))], []])
    with pytest.raises(ValueError) as caught:
        evaluate_coco(Told(), data)
    assert str(caught.value) == (
        "`dataset` must have as many classes as the detector, but has 2, and the detector found "
        "class 2, counted from 0."
    )


@pytest.mark.parametrize("every", [0, -1, 1.5, True, None])
def test_every_must_be_a_count(every):
    with pytest.raises(ValueError, match="`every` must be an integer of at least 1, but is"):
        CocoEvaluation(told(SOURCE, SCALE, 5, PERFECT), every=every)


def test_mirrored_images_are_mirrored_back():
    source = with_masks(SOURCE)
    left = np.repeat(np.arange(28)[None] < 16, 28, 0).astype("float32")
    upright = [[(*d, left) for d in found] for found in PERFECT]
    mirrored = [
        [(c, score, (w - box[2], box[1], w - box[0], box[3]), left[:, ::-1]) for c, score, box in f]
        for f, (_, _, w) in zip(PERFECT, IMAGES, strict=True)
    ]
    data = told(source, SCALE, 5, mirrored)
    for record in data.records(0):
        record["flipped"] = True
    expected = coco_results(Told(), told(source, SCALE, 5, upright))
    assert coco_results(Told(), data) == expected


def test_a_model_without_detections_is_one_sentence():
    data = told(SOURCE, SCALE, 5, PERFECT)
    data.batches[0][0]["detections"] = {"box": np.zeros((2, 4)), "classification": np.zeros(2)}
    with pytest.raises(
        ValueError, match=r"must return a dictionary .* \['box', 'classification'\]"
    ):
        evaluate_coco(Told(), data)


def test_pycocotools_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools.cocoeval", None)
    with pytest.raises(ImportError, match=r"pip install 'keras-dla\[detection\]'"):
        evaluate_coco(Told(), told(SOURCE, SCALE, 5, PERFECT))
