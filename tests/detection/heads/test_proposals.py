import numpy as np
import pytest
from keras import ops

from keras_dla.analysis.map_gradients import without_gradients
from keras_dla.detection.heads.proposals import region_proposals, without_padding
from keras_dla.detection.ops.anchors import level_anchors
from keras_dla.ops.devices import torch_only_infers
from tests.detection.slow import decoded, suppressed


def slow_proposals(logits, deltas, levels, size, candidates, count):
    found, begin = [], 0
    for anchors in levels:
        scores = logits[begin : begin + len(anchors)]
        best = np.argsort(-scores, kind="stable")[:candidates]
        boxes = [decoded(anchors[index], deltas[begin + index], size) for index in best]
        kept = suppressed(boxes, scores[best], 0.7)
        found += [(scores[best][index], boxes[index]) for index in kept]
        begin += len(anchors)
    found.sort(key=lambda pair: -pair[0])
    return np.array([box for _, box in found if box[2] > box[0] and box[3] > box[1]])[:count]


def run(logits, deltas, levels, sizes, candidates, count):
    tensors = [ops.convert_to_tensor(x) for x in (logits, deltas)]
    sizes = ops.convert_to_tensor(sizes)
    found = region_proposals(*tensors, levels, sizes, candidates, count)
    return [ops.convert_to_numpy(x) for x in found]


def test_equal_to_the_slow_form():
    rng = np.random.default_rng(0)
    levels = [level_anchors((6, 6), 4), level_anchors((3, 3), 8), level_anchors((2, 2), 16)]
    total = sum(map(len, levels))
    logits = rng.normal(size=(2, total)).astype("float32")
    deltas = (0.3 * rng.normal(size=(2, total, 4))).astype("float32")
    sizes = np.array([[24, 20], [23, 24]], "int32")
    boxes, valid = run(logits, deltas, levels, sizes, candidates=20, count=12)
    assert boxes.shape == (2, 12, 4)
    for image in range(2):
        wanted = slow_proposals(logits[image], deltas[image], levels, sizes[image], 20, 12)
        assert valid[image].sum() == len(wanted)
        np.testing.assert_allclose(boxes[image][valid[image]], wanted, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(("valid", "most"), [([2, 3], 3), ([0, 0], 1), ([5, 1], 5)])
def test_padding_of_all_images_is_left_out_only_in_inference(valid, most):
    boxes = ops.reshape(ops.arange(2 * 5 * 4, dtype="float32"), (2, 5, 4))
    valid = ops.convert_to_tensor(np.arange(5) < np.array(valid)[:, None])
    assert without_padding(boxes, valid)[0].shape == (2, 5, 4)
    with without_gradients():
        found = without_padding(boxes, valid)
        count = most if torch_only_infers() else 5
    assert found[0].shape == (2, count, 4) and found[1].shape == (2, count)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(found[0]), ops.convert_to_numpy(boxes)[:, :count]
    )


def test_fewer_boxes_than_asked_for():
    """One anchor's box lies outside of the image: it has no area left, and is none."""
    anchors = np.array([[0, 0, 8, 8], [40, 40, 48, 48], [8, 8, 16, 16]], "float32")
    logits = np.array([[1.0, 3.0, 2.0]], "float32")
    sizes = np.array([[16, 16]], "int32")
    boxes, valid = run(logits, np.zeros((1, 3, 4), "float32"), [anchors], sizes, 5, 5)
    assert valid.tolist() == [[True, True, False, False, False]]
    assert boxes[0].tolist() == [[8, 8, 16, 16], [0, 0, 8, 8], [0] * 4, [0] * 4, [0] * 4]
