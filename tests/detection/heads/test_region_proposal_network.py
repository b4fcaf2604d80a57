import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_dla.detection.heads.region_proposal_network import (
    RegionProposalNetwork,
    in_image,
    region_proposal_losses,
)
from keras_dla.detection.ops.anchors import level_anchors
from tests.detection.slow import encoded, overlap, random_boxes
from tests.golden import assert_close


def assigned(anchors, boxes):
    """MMDetection's rule: 0.7 and 0.3, and the best anchors of every object from 0.3 on."""
    table = np.array([[overlap(anchor, box) for box in boxes] for anchor in anchors])
    matches = np.where(table.max(1) < 0.3, -1, -2)
    matches = np.where(table.max(1) >= 0.7, table.argmax(1), matches)
    for number, best in enumerate(table.max(0)):
        if best >= 0.3:
            matches[np.isclose(table[:, number], best, rtol=1e-6)] = number
    return matches


def slow_losses(logits, deltas, anchors, boxes, valid, inside=None):
    """With so few anchors every one is in the sample but those that are ignored."""
    class_loss = box_loss = count = 0
    for image in range(len(boxes)):
        places = np.arange(len(anchors)) if inside is None else np.flatnonzero(inside[image])
        matches = assigned(anchors[places], boxes[image][valid[image]])
        for index, match in zip(places, matches, strict=True):
            p = 1 / (1 + np.exp(-np.float64(logits[image, index])))
            if match == -1:
                class_loss -= np.log(1 - p)
            elif match >= 0:
                class_loss -= np.log(p)
                target = encoded(anchors[index], boxes[image, match])
                box_loss += np.abs(deltas[image, index] - target).sum()
            count += match > -2
    return class_loss / count, box_loss / count


def test_losses():
    rng = np.random.default_rng(0)
    anchors = np.concatenate([level_anchors((4, 4), 8, 2), level_anchors((2, 2), 16, 2)])
    boxes = random_boxes(rng, 2, 3, least=12, most=30, within=20)
    valid = np.array([[True, True, False], [True, True, True]])
    logits = rng.normal(size=(2, 60)).astype("float32")
    deltas = rng.normal(size=(2, 60, 4)).astype("float32")
    sizes = np.array([[32, 32]] * 2, "int32")
    arrays = map(ops.convert_to_tensor, (logits, deltas, anchors, boxes, valid, sizes))
    found = [float(loss) for loss in region_proposal_losses(*arrays, seed=0)]
    np.testing.assert_allclose(found, slow_losses(logits, deltas, anchors, boxes, valid), rtol=1e-5)


def cells_in_image(levels, sizes):
    """MMDetection's `valid_flags` of images padded to multiples of 32, three anchors a cell."""
    flags = []
    for height, width in sizes:
        padded = math.ceil(height / 32) * 32, math.ceil(width / 32) * 32
        of_image = []
        for (rows, columns), stride in levels:
            for row, column in np.ndindex(rows, columns):
                inside = row * stride < padded[0] and column * stride < padded[1]
                of_image += [inside] * 3
        flags.append(of_image)
    return np.array(flags)


def test_anchors_in_the_padding_do_not_count():
    """Images of which half is padding: no anchor there is background, nor has an object."""
    rng = np.random.default_rng(4)
    levels = [((12, 8), 8), ((6, 4), 16), ((3, 2), 32)]
    anchors = np.concatenate([level_anchors(shape, stride, 2) for shape, stride in levels])
    sizes = np.array([[64, 64], [41, 31]], "int32")
    boxes = random_boxes(rng, 2, 3, least=12, most=30, within=20)
    # At the lower border: the anchor that it overlaps most has its cell in the padding.
    boxes[0, 2] = [13, 57, 35, 64]
    valid = np.ones((2, 3), bool)
    inside = cells_in_image(levels, sizes)
    assert 0.3 < inside.mean() < 0.7
    best = [overlap(anchor, boxes[0, 2]) for anchor in anchors]
    assert not inside[0, np.argmax(best)]
    assert max(np.array(best)[inside[0]]) > 0.3
    tensors = [ops.convert_to_tensor(x) for x in (anchors, sizes)]
    np.testing.assert_array_equal(ops.convert_to_numpy(in_image(*tensors)), inside)

    # Few enough anchors that every one is in the sample.
    few = rng.permutation(len(anchors))[:150]
    few = np.union1d(few, np.argsort(best)[-12:])
    logits = rng.normal(size=(2, len(few))).astype("float32")
    deltas = rng.normal(size=(2, len(few), 4)).astype("float32")
    arrays = (logits, deltas, anchors[few], boxes, valid, sizes)
    found = region_proposal_losses(*map(ops.convert_to_tensor, arrays), seed=0)
    expected = slow_losses(logits, deltas, anchors[few], boxes, valid, inside[:, few])
    np.testing.assert_allclose([float(loss) for loss in found], expected, rtol=1e-5)
    everywhere = slow_losses(logits, deltas, anchors[few], boxes, valid)
    assert abs(everywhere[0] - expected[0]) > 0.01


def test_losses_without_an_object():
    anchors = level_anchors((2, 2), 8, 2)
    logits = np.random.default_rng(0).normal(size=(1, 12)).astype("float32")
    nothing = np.zeros((1, 3, 4), "float32"), np.zeros((1, 3), bool)
    arrays = (logits, np.ones((1, 12, 4), "float32"), anchors, *nothing, np.array([[16, 16]]))
    found = [float(x) for x in region_proposal_losses(*map(ops.convert_to_tensor, arrays), seed=0)]
    expected = np.log(1 + np.exp(logits.astype("float64"))).mean()
    np.testing.assert_allclose(found, [expected, 0], rtol=1e-5)


def test_formats_share_their_weights_and_order():
    rng = np.random.default_rng(0)
    maps = [rng.normal(size=(2, size, size + 1, 6)).astype("float32") for size in (4, 2)]
    last = RegionProposalNetwork(8, data_format="channels_last")
    first = RegionProposalNetwork(8, data_format="channels_first")
    expected = last(maps)
    first.build([(2, 6, 4, 5), (2, 6, 2, 3)])
    first.set_weights(last.get_weights())
    found = first([level.transpose(0, 3, 1, 2) for level in maps])
    for a, b in zip(found, expected, strict=True):
        assert_close(ops.convert_to_numpy(a), ops.convert_to_numpy(b), 1e-5)


def test_order_is_the_anchors():
    """Each anchor's outputs come from its own place: a bright spot lights up its anchors alone."""
    network = RegionProposalNetwork(4, data_format="channels_last")
    maps = np.zeros((1, 5, 5, 1), "float32")
    maps[0, 1, 3] = 1
    network.build([maps.shape])
    kernel = np.zeros((3, 3, 1, 4), "float32")
    kernel[1, 1] = 1
    network.convolution.kernel.assign(kernel)
    network.objectness.kernel.assign(np.ones((1, 1, 4, 3)))
    logits, _ = network([maps])
    anchors = level_anchors((5, 5), 4)[ops.convert_to_numpy(logits)[0] > 0.5]
    assert len(anchors) == 3
    np.testing.assert_allclose((anchors[:, :2] + anchors[:, 2:]) / 2, [[12, 4]] * 3, rtol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float32"])
def test_outputs_are_float32(policy):
    network = RegionProposalNetwork(4, data_format="channels_last", dtype=policy)
    outputs = network([np.ones((1, 2, 2, 3), "float32")])
    assert {keras.backend.standardize_dtype(x.dtype) for x in outputs} == {"float32"}


def test_parameters():
    """Of MMDetection's network on 256 channels."""
    network = RegionProposalNetwork(data_format="channels_last")
    network.build([(None, None, None, 256)])
    assert network.count_params() == 590_080 + 771 + 3084


def test_config_round_trip():
    network = RegionProposalNetwork(4, data_format="channels_first")
    copied = RegionProposalNetwork.from_config(network.get_config())
    assert copied.get_config() == network.get_config()
