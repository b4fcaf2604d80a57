"""The figures of a detector's report: curves and confusions."""

import numpy as np
import pytest

from keras_dla.analysis import plot_confusion, plot_precision_recall
from keras_dla.detection import detection_report
from tests.backends import on_pytorch
from tests.detection.coco.test_evaluation import IMAGES, PERFECT, SCALE, SOURCE
from tests.detection.fakes import Source, Told, told

pytest.importorskip("matplotlib")
pytestmark = on_pytorch


def test_a_class_without_objects_has_no_curve():
    source = Source(IMAGES, [one for one in SOURCE.annotations if one["category_id"] == 3])
    report = detection_report(Told(), told(source, SCALE, 9, PERFECT))
    np.testing.assert_array_equal(report.confusion, [[0, 0, 0], [0, 2, 0], [1, 0, 0]])
    lines = plot_precision_recall(report).axes[0].lines
    assert [line.get_label() for line in lines] == ["disc 1.000", "mean 1.000"]
    drawn = plot_confusion(report).axes[0]
    assert [text.get_text() for text in drawn.texts] == list("000020100")
