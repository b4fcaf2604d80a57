import keras
import numpy as np
import pytest
from keras import ops

from keras_dla.detection.heads.box_head import BoxHead, box_detections, box_losses
from tests.detection.slow import encoded, random_boxes
from tests.golden import assert_close

DEVIATIONS = (0.1, 0.1, 0.2, 0.2)


def slow_losses(logits, deltas, proposals, matches, sampled, boxes, classes):
    class_loss = box_loss = count = 0
    for image, index in np.argwhere(sampled):
        match = matches[image, index]
        label = classes[image, match] if match >= 0 else logits.shape[-1] - 1
        row = logits[image, index].astype("float64")
        class_loss += np.log(np.exp(row - row.max()).sum()) + row.max() - row[label]
        if match >= 0:
            target = encoded(proposals[image, index], boxes[image, match], DEVIATIONS)
            box_loss += np.abs(deltas[image, index, label] - target).sum()
        count += 1
    return class_loss / count, box_loss / count


def example(rng):
    logits = rng.normal(size=(2, 6, 4)).astype("float32")
    deltas = rng.normal(size=(2, 6, 3, 4)).astype("float32")
    matches = np.array([[0, 2, -1, -1, 1, -1], [1, -1, -1, 0, -1, -1]], "int32")
    sampled = np.array([[1, 1, 1, 0, 0, 1], [1, 1, 0, 1, 1, 1]], bool)
    classes = np.array([[2, 0, 1], [1, 2, -1]], "int32")
    proposals, boxes = random_boxes(rng, 2, 6), random_boxes(rng, 2, 3)
    return logits, deltas, proposals, matches, sampled, boxes, classes


def test_losses():
    arrays = example(np.random.default_rng(0))
    found = [float(ops.convert_to_numpy(loss)) for loss in box_losses(*map(tensor, arrays))]
    np.testing.assert_allclose(found, slow_losses(*arrays), rtol=1e-5)


def tensor(array):
    return ops.convert_to_tensor(array)


def test_losses_without_a_proposal_are_zero():
    arrays = list(example(np.random.default_rng(0)))
    arrays[4] = np.zeros_like(arrays[4])
    assert [float(ops.convert_to_numpy(loss)) for loss in box_losses(*map(tensor, arrays))] == [
        0,
        0,
    ]


def test_detections():
    """One class of one proposal stands out, and its box is decoded and clipped."""
    logits = np.zeros((1, 3, 4), "float32")
    logits[..., 3] = 6  # background
    logits[0, 1, 2] = 12
    deltas = np.zeros((1, 3, 3, 4), "float32")
    deltas[0, 1, 2] = [1, 0, np.log(2) / 0.2, 0]
    proposals = np.array([[[0, 0, 9, 9], [10, 10, 30, 20], [1, 2, 3, 4]]], "float32")
    found = box_detections(
        tensor(logits),
        tensor(deltas),
        tensor(proposals),
        tensor(np.array([[True, True, False]])),
        tensor(np.array([[40, 35]], "int32")),
        score_threshold=0.5,
        iou_threshold=0.5,
        max_detections=2,
    )
    found = {name: ops.convert_to_numpy(value) for name, value in found.items()}
    # The centre moves by 0.1 of the width, which then doubles: from 2 to 42, and the image ends.
    assert_close(found["boxes"][0], np.array([[2, 10, 35, 20], [0, 0, 0, 0]]), 1e-5)
    assert found["classes"].tolist() == [[2, -1]]
    probability = np.exp(12) / (np.exp(12) + np.exp(6) + 2)
    np.testing.assert_allclose(found["scores"][0], [probability, 0], rtol=1e-5)
    assert found["sources"][0, 0] == 1


def test_a_proposal_that_is_not_there_gives_nothing():
    logits = np.zeros((1, 2, 4), "float32")
    logits[..., 0] = 9
    found = box_detections(
        tensor(logits),
        tensor(np.zeros((1, 2, 3, 4), "float32")),
        tensor(random_boxes(np.random.default_rng(0), 1, 2)),
        tensor(np.zeros((1, 2), bool)),
        tensor(np.array([[99, 99]], "int32")),
        score_threshold=0.05,
        iou_threshold=0.5,
        max_detections=5,
    )
    assert ops.convert_to_numpy(found["classes"]).tolist() == [[-1] * 5]
    assert not ops.convert_to_numpy(found["scores"]).any()


def test_formats_share_their_weights():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 4, 5)).astype("float32")
    last = BoxHead(2, 8, data_format="channels_last")
    first = BoxHead(2, 8, data_format="channels_first")
    expected = last(x)
    first.build((2, 3, 5, 4, 4))
    first.set_weights(last.get_weights())
    for a, b in zip(first(x.transpose(0, 1, 4, 2, 3)), expected, strict=True):
        assert_close(ops.convert_to_numpy(a), ops.convert_to_numpy(b), 1e-5)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float32"])
def test_outputs_are_float32(policy):
    head = BoxHead(2, 8, data_format="channels_last", dtype=policy)
    outputs = head(np.ones((1, 3, 2, 2, 4), "float32"))
    assert {keras.backend.standardize_dtype(x.dtype) for x in outputs} == {"float32"}


def test_parameters():
    """Of MMDetection's head for 80 classes on 7 x 7 x 256."""
    head = BoxHead(80, data_format="channels_last")
    head.build((None, None, 7, 7, 256))
    assert head.count_params() == 14_306_705


def test_config_round_trip():
    head = BoxHead(3, 8, data_format="channels_first")
    assert BoxHead.from_config(head.get_config()).get_config() == head.get_config()
