"""Deltas equal MMDetection's formulas, invert each other, and are finite for boxes of no area."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings

from keras_dla.detection.ops.box_coder import BoxCoder
from tests.detection.compiled import compiled, eager
from tests.detection.draw import grid_boxes, random_boxes
from tests.gradients import differences, gradients

DEVIATIONS = (0.1, 0.1, 0.2, 0.2)
CODER, PLAIN = BoxCoder(DEVIATIONS), BoxCoder()
ENCODE = compiled(lambda references, boxes: CODER.encode(references, boxes))
DECODE = compiled(lambda references, deltas: CODER.decode(references, deltas))


def centre_and_sides(box):
    x1, y1, x2, y2 = (float(value) for value in box)
    return (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1


def encoded(reference, box):
    x_r, y_r, w_r, h_r = centre_and_sides(reference)
    x, y, w, h = centre_and_sides(box)
    deltas = [
        (x - x_r) / w_r if w_r > 0 else 0,
        (y - y_r) / h_r if h_r > 0 else 0,
        np.log(w / w_r) if w > 0 and w_r > 0 else 0,
        np.log(h / h_r) if h > 0 and h_r > 0 else 0,
    ]
    return np.array(deltas) / DEVIATIONS


def decoded(reference, deltas):
    x_r, y_r, w_r, h_r = centre_and_sides(reference)
    dx, dy, dw, dh = np.array(deltas, "float64") * DEVIATIONS
    limit = abs(np.log(16 / 1000))
    w, h = w_r * np.exp(np.clip(dw, -limit, limit)), h_r * np.exp(np.clip(dh, -limit, limit))
    x, y = x_r + w_r * dx, y_r + h_r * dy
    return [x - w / 2, y - h / 2, x + w / 2, y + h / 2]


def with_area(rng, shape):
    start, sides = rng.uniform(0, 80, (*shape, 2)), rng.uniform(2, 60, (*shape, 2))
    return np.concatenate([start, start + sides], axis=-1).astype("float32")


def test_deltas_equal_the_reference():
    rng = np.random.default_rng(0)
    references, boxes = with_area(rng, (1, 50)), with_area(rng, (1, 50))
    expected = [encoded(*pair) for pair in zip(references[0], boxes[0], strict=True)]
    np.testing.assert_allclose(ENCODE(references, boxes)[0], expected, atol=2e-4)


def test_boxes_equal_the_reference():
    rng = np.random.default_rng(1)
    references = with_area(rng, (1, 50))
    # Far enough apart to meet the limits of the logarithm.
    deltas = rng.normal(0, 15, (1, 50, 4)).astype("float32")
    assert (np.abs(deltas[..., 2:] * 0.2) > 4.2).any()
    expected = [decoded(*pair) for pair in zip(references[0], deltas[0], strict=True)]
    np.testing.assert_allclose(DECODE(references, deltas)[0], expected, rtol=1e-4, atol=1e-3)


def test_the_example_of_mmdetection():
    references = np.array([[[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1], [5, 5, 5, 5]]], "float32")
    deltas = np.array(
        [[[0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 2, -1], [0.7, -1.9, -0.5, 0.3]]], "float32"
    )
    expected = [
        [0.0000, 0.0000, 1.0000, 1.0000],
        [0.1409, 0.1409, 2.8591, 2.8591],
        [0.0000, 0.3161, 4.1945, 0.6839],
        [5.0000, 5.0000, 5.0000, 5.0000],
    ]
    sizes = np.array([[32, 32]], "int32")
    boxes = eager(PLAIN.decode)(references, deltas, sizes)
    np.testing.assert_allclose(boxes[0], expected, atol=1e-4)


def test_decoding_inverts_encoding():
    rng = np.random.default_rng(2)
    references, boxes = with_area(rng, (3, 20)), with_area(rng, (3, 20))
    np.testing.assert_allclose(DECODE(references, ENCODE(references, boxes)), boxes, atol=1e-3)


@settings(max_examples=50, deadline=None)
@given(grid_boxes(1, 4), grid_boxes(1, 4))
def test_empty_boxes_have_finite_deltas(references, boxes):
    expected = [encoded(*pair) for pair in zip(references[0], boxes[0], strict=True)]
    np.testing.assert_allclose(ENCODE(references, boxes)[0], expected, rtol=1e-5, atol=1e-5)


def test_one_box_for_every_class():
    rng = np.random.default_rng(3)
    references = with_area(rng, (2, 5))
    deltas = rng.normal(0, 1, (2, 5, 3, 4)).astype("float32")
    sizes = np.array([[40, 60], [60, 40]], "float32")
    boxes = eager(CODER.decode)(references[:, :, None], deltas, sizes)
    assert boxes.shape == (2, 5, 3, 4)
    for k in range(3):
        for_one = CODER.decode(references, deltas[:, :, k], sizes)
        np.testing.assert_allclose(
            boxes[:, :, k], keras.ops.convert_to_numpy(for_one), rtol=1e-6, atol=1e-6
        )


def test_no_boxes_and_half_precision():
    none = np.zeros((2, 0, 4), "float32")
    assert eager(PLAIN.encode)(none, none).shape == (2, 0, 4)
    assert eager(PLAIN.decode)(none, none).shape == (2, 0, 4)
    box = np.array([[0, 0, 1001, 700]], "float16")
    zeros = np.zeros((1, 4), "float16")
    np.testing.assert_allclose(eager(PLAIN.decode)(box, zeros), box.astype("float32"))


class Coding(keras.layers.Layer):
    """Encodes the second four numbers from the first, or decodes them."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, x):
        return self.function(x[..., :4], x[..., 4:])


def _gradients(function, x, cotangent):
    inputs = keras.Input((None, 8))
    model = keras.Model(inputs, Coding(function)(inputs))
    return gradients(model, x.astype("float32"), cotangent.astype("float32"))[1]


@pytest.mark.parametrize(
    ("function", "plain"),
    [(CODER.encode, encoded), (CODER.decode, decoded)],
    ids=["encode", "decode"],
)
def test_gradients_equal_finite_differences(function, plain):
    rng = np.random.default_rng(4)
    second = with_area(rng, (6,)) if plain is encoded else rng.normal(0, 1, (6, 4))
    x = np.concatenate([with_area(rng, (6,)), second], axis=-1).astype("float64")
    cotangent = rng.normal(size=(6, 4))
    expected = differences(lambda: np.array([plain(p[:4], p[4:]) for p in x]), x, cotangent)
    grad = _gradients(function, x[None], cotangent[None])[0]
    np.testing.assert_allclose(grad, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("function", [CODER.encode, CODER.decode], ids=["encode", "decode"])
def test_gradients_of_empty_boxes_are_finite(function):
    boxes = np.array([[0, 0, 0, 0], [3, 3, 3, 9], [7, 7, 2, 2], [1, 1, 4, 5]], "float32")
    pairs = np.array([[*a, *b] for a in boxes for b in boxes])
    assert np.isfinite(_gradients(function, pairs[None], np.ones((1, 16, 4)))).all()


def test_random_references_of_every_kind_stay_finite():
    rng = np.random.default_rng(5)
    references, boxes = random_boxes(rng, (1, 200)), random_boxes(rng, (1, 200))
    references[:, ::7, 2:] = references[:, ::7, :2] + 1e-30
    deltas = ENCODE(references, boxes)
    assert np.isfinite(deltas).all()
    assert np.isfinite(DECODE(references, deltas)).all()


@pytest.mark.parametrize("deviations", [(1, 1, 1), (1, 1, 1, 0)])
def test_other_deviations_are_refused(deviations):
    with pytest.raises(ValueError, match="`deviations` must be four positive numbers"):
        BoxCoder(deviations)
