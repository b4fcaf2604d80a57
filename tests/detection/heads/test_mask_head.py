import numpy as np
import pytest
from keras import ops

from keras_dla.detection.heads.mask_head import MaskHead, mask_loss, mask_of_class, mask_targets
from tests.golden import assert_close


def targets(masks, boxes, proposals, matches, size):
    arrays = masks, boxes, proposals, matches
    return ops.convert_to_numpy(mask_targets(*map(ops.convert_to_tensor, arrays), size))


@pytest.mark.parametrize(
    ("proposal", "expected"),
    [
        ([10, 10, 50, 50], "left half"),
        ([10, 10, 30, 50], "all"),
        ([30, 10, 50, 50], "none"),
        ([20, 10, 40, 50], "left half"),
        ([10, 30, 50, 70], "upper left quarter"),
        ([60, 60, 90, 90], "none"),
    ],
)
def test_targets_of_half_an_object(proposal, expected):
    """An object fills the left half of its box (10, 10, 50, 50)."""
    mask = np.zeros((1, 1, 40, 40), "float32")
    mask[..., :20] = 1
    wanted = np.zeros((8, 8))
    parts = {
        "left half": np.s_[:, :4],
        "all": np.s_[:],
        "none": np.s_[:0],
        "upper left quarter": np.s_[:4, :4],
    }
    wanted[parts[expected]] = 1
    found = targets(
        mask,
        np.array([[[10, 10, 50, 50]]], "float32"),
        np.array([[proposal]], "float32"),
        np.array([[0]], "int32"),
        8,
    )
    np.testing.assert_array_equal(found[0, 0], wanted)


def test_every_proposal_reads_its_own_object():
    masks = np.zeros((2, 2, 16, 16), "uint8")
    masks[0, 1] = masks[1, 0] = 1
    boxes = np.tile(np.array([0, 0, 16, 16], "float32"), (2, 2, 1))
    matches = np.array([[0, 1, -1], [0, 1, 1]], "int32")
    proposals = np.tile(np.array([0, 0, 16, 16], "float32"), (2, 3, 1))
    found = targets(masks, boxes, proposals, matches, 4)
    assert found.mean(axis=(2, 3)).tolist() == [[0, 1, 0], [1, 0, 0]]


def test_targets_are_finite_for_boxes_without_area():
    zero = np.zeros((1, 2, 4), "float32")
    found = targets(np.ones((1, 2, 8, 8), "float32"), zero, zero, np.array([[0, -1]], "int32"), 4)
    assert np.isfinite(found).all()


def test_loss():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(1, 3, 4, 4, 5)).astype("float32")
    wanted = (rng.uniform(size=(1, 3, 4, 4)) > 0.5).astype("float32")
    classes, positive = np.array([[4, 0, 2]], "int32"), np.array([[True, False, True]])
    errors = []
    for n in (0, 2):
        p = 1 / (1 + np.exp(-logits[0, n, ..., classes[0, n]].astype("float64")))
        errors.append(-(wanted[0, n] * np.log(p) + (1 - wanted[0, n]) * np.log(1 - p)).mean())
    arrays = map(ops.convert_to_tensor, (logits, wanted, classes, positive))
    np.testing.assert_allclose(float(mask_loss(*arrays)), np.mean(errors), rtol=1e-5)


def test_no_class_has_no_mask():
    masks = ops.ones((1, 2, 3, 3, 4))
    found = ops.convert_to_numpy(mask_of_class(masks, ops.convert_to_tensor([[-1, 3]])))
    assert found.mean(axis=(2, 3)).tolist() == [[0, 1]]


def test_formats_share_their_weights():
    x = np.random.default_rng(0).normal(size=(1, 2, 6, 6, 4)).astype("float32")
    last = MaskHead(3, 8, data_format="channels_last")
    first = MaskHead(3, 8, data_format="channels_first")
    expected = last(x)
    assert tuple(expected.shape) == (1, 2, 12, 12, 3)
    first.build((1, 2, 4, 6, 6))
    first.set_weights(last.get_weights())
    found = ops.convert_to_numpy(first(x.transpose(0, 1, 4, 2, 3)))
    assert_close(found, ops.convert_to_numpy(expected), 1e-5)


def test_parameters():
    """Of MMDetection's head for 80 classes."""
    head = MaskHead(80, data_format="channels_last")
    head.build((None, None, 14, 14, 256))
    assert head.count_params() == 4 * 590_080 + 262_400 + 20_560


def test_config_round_trip():
    head = MaskHead(3, 8, data_format="channels_first")
    assert MaskHead.from_config(head.get_config()).get_config() == head.get_config()
