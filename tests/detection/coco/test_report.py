"""Confusions against hand-counted ones, and curves against pycocotools'."""

import pytest

from keras_dla.detection import confusion_matrix, detection_report
from tests.backends import on_pytorch
from tests.detection.coco.test_evaluation import DISC, SCALE, SOURCE, SQUARE, shifted
from tests.detection.fakes import CATEGORY_IDS, Told, annotation, told

pytestmark = on_pytorch  # NumPy alone


def counts(objects, detections, **options):
    """Objects `(class, box, more)` and detections `(class, score, box)` of one image."""
    there = [annotation(0, 11, class_, box, **more) for class_, box, more in objects]
    found = [
        {**annotation(0, 11, class_, box), "score": score} for class_, score, box in detections
    ]
    return confusion_matrix(there, found, CATEGORY_IDS, **options).tolist()


HERE, THERE = (4, 4, 24, 24), (40, 40, 60, 60)


@pytest.mark.parametrize(
    ("detections", "expected"),
    [
        ([], [[0, 0, 1], [0, 0, 1], [0, 0, 0]]),
        ([(SQUARE, 0.9, HERE), (DISC, 0.9, THERE)], [[1, 0, 0], [0, 1, 0], [0, 0, 0]]),
        # Another class, and a score below the least.
        ([(DISC, 0.9, HERE), (DISC, 0.4, THERE)], [[0, 1, 0], [0, 0, 1], [0, 0, 0]]),
        # The likeliest has the object, whatever its class, and the other one nothing.
        ([(DISC, 0.6, HERE), (SQUARE, 0.9, HERE)], [[1, 0, 0], [0, 0, 1], [0, 1, 0]]),
        # Too little overlap: 12 of 28 columns.
        ([(SQUARE, 0.9, (12, 4, 32, 24))], [[0, 0, 1], [0, 0, 1], [1, 0, 0]]),
    ],
)
def test_confusions_by_hand(detections, expected):
    assert counts([(SQUARE, HERE, {}), (DISC, THERE, {})], detections) == expected


def test_crowds_neither_count_nor_make_false_detections():
    crowd = (DISC, (0, 0, 80, 60), {"iscrowd": 1})
    found = [(SQUARE, 0.9, HERE), (DISC, 0.8, THERE)]
    assert counts([crowd, (SQUARE, HERE, {})], found) == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("name", ["score", "iou_threshold"])
def test_thresholds_are_one_sentence(name):
    with pytest.raises(ValueError, match=f"`{name}` must be a number from 0 to 1, but is 2"):
        counts([], [], **{name: 2})


def test_a_report_tells_the_same_as_its_figures():
    report = detection_report(Told(), told(SOURCE, SCALE, 9, shifted(0)))
    assert report.class_names == ("square", "disc")  # of the ids 7 and 3
    curves = report.precisions["boxes"]
    assert curves.shape == (10, 101, 2)
    for number, name in enumerate(report.class_names):
        assert curves[..., number].mean() == pytest.approx(report.figures[f"AP of {name}"])
        assert curves[0, :, number].mean() == pytest.approx(report.figures[f"AP50 of {name}"])
    assert report.confusion[:2].sum() == 3  # every object once
