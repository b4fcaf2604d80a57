import keras
import numpy as np
import pytest
from keras import ops

from keras_dla.detection.ops.roi_align import pyramid_roi_align, roi_align
from tests.detection.ops.roi_reference import (
    BOXES,
    FORMATS,
    SIZE,
    STRIDE,
    Cropping,
    assert_close,
    box_weights,
    crop,
    mmcv_roi_align,
    random_features,
    to_channels_last,
    to_format,
)
from tests.gradients import gradients


def test_the_transcription_is_separable():
    features = random_features(*SIZE, 2).astype("float64")
    for box in BOXES.values():
        weights = box_weights(box, STRIDE, SIZE, 3)
        direct = mmcv_roi_align(features, box, STRIDE, 3)
        np.testing.assert_allclose(np.einsum("ijyx,yxc->ijc", weights, features), direct, atol=1e-9)


@pytest.mark.parametrize(
    ("output_size", "data_format"), [(1, FORMATS[0]), (7, FORMATS[1]), (14, FORMATS[0])]
)
def test_values_and_gradients(output_size, data_format):
    features = random_features(2, *SIZE, 3)
    boxes = np.array([list(BOXES.values()), list(BOXES.values())[::-1]], "float32")
    weights = np.array(
        [[box_weights(box, STRIDE, SIZE, output_size) for box in part] for part in boxes]
    )
    rng = np.random.default_rng(1)
    cotangent = rng.normal(size=(*boxes.shape[:2], output_size, output_size, 3)).astype("float32")
    layer = Cropping(lambda x: crop(x, boxes, STRIDE, output_size, data_format=data_format))
    outputs, gradient, _ = gradients(
        layer, to_format(features, data_format), to_format(cotangent, data_format)
    )
    outputs = to_channels_last(outputs, data_format)
    expected = np.einsum("brijyx,byxc->brijc", weights, features)
    for n, name in enumerate(BOXES):
        assert np.abs(outputs[0, n] - expected[0, n]).max() < 1e-5, name
    assert_close(outputs, expected)
    expected = np.einsum("brijyx,brijc->byxc", weights, cotangent)
    assert_close(to_channels_last(gradient, data_format), expected)


@pytest.mark.parametrize(("window", "output_size"), [(2, 7), (8, 7), (21, 14), (28, 14)])
def test_long_sides_read_every_few_rows(window, output_size):
    """A window of the map's size + 2 reads all; a smaller one what the docstring says."""
    features = random_features(1, *SIZE, 2)
    boxes = np.array([list(BOXES.values())], "float32")
    weights = [box_weights(box, STRIDE, SIZE, output_size, window) for box in boxes[0]]
    crops = crop(features, boxes, STRIDE, output_size, window=window)
    assert_close(ops.convert_to_numpy(crops)[0], np.einsum("rijyx,yxc->rijc", weights, features[0]))
    exact = [box_weights(box, STRIDE, SIZE, output_size, 100) for box in boxes[0]]
    assert np.allclose(weights, exact) == (window == 28)


@pytest.mark.parametrize("output_size", [7, 14])
def test_sides_of_window_less_two_are_exact(output_size):
    features = random_features(1, 70, 90, 1)
    starts = np.arange(0, 8, 0.25)
    sides = np.stack([starts, starts + 4, starts + 30, starts + 34], -1)
    boxes = sides[None].astype("float32")
    crops, exact = (crop(features, boxes, 1, output_size, window=window) for window in (32, 92))
    assert_close(ops.convert_to_numpy(crops), ops.convert_to_numpy(exact))


@pytest.mark.parametrize("data_format", FORMATS)
def test_objects_cut_from_their_masks(data_format):
    """As mask targets are made: `indices` says which map, and the window holds all of it."""
    rng = np.random.default_rng(2)
    masks = (rng.random((6, 28, 28, 1)) < 0.5).astype("float32")
    boxes = rng.uniform(-14, 42, (2, 5, 4)).astype("float32")
    boxes[..., 2:] = boxes[..., :2] + rng.uniform(5, 60, (2, 5, 2))
    indices = rng.integers(0, 6, (2, 5)).astype("int32")
    masks = to_format(masks, data_format)
    crops = crop(masks, boxes, 1, 7, indices, window=30, data_format=data_format)
    masks = to_channels_last(masks, data_format)
    crops = to_channels_last(crops, data_format)
    for place in np.ndindex(2, 5):
        weights = box_weights(boxes[place], 1, (28, 28), 7, window=30)
        expected = np.einsum("ijyx,yxc->ijc", weights, masks[indices[place]])
        np.testing.assert_allclose(crops[place], expected, atol=1e-5)


def test_maps_of_one_row_or_column():
    for size in ((1, 9), (9, 1), (1, 1)):
        features = random_features(1, *size, 2)
        boxes = np.array([[(0.2, 0.1, 0.9, 0.8), (-3, -3, 12, 12)]], "float32")
        crops = crop(features, boxes, 1, 3)
        for box, one in zip(boxes[0], ops.convert_to_numpy(crops)[0], strict=True):
            np.testing.assert_allclose(one, mmcv_roi_align(features[0], box, 1, 3), atol=1e-5)


def test_no_box_one_box_and_identical_boxes():
    features = random_features(2, *SIZE, 3)
    empty = np.zeros((2, 0, 4), "float32")
    none = crop(features, empty, 4, 7)
    assert tuple(none.shape) == (2, 0, 7, 7, 3)
    maps = [features, features[:, ::2, ::2]]
    none = crop(maps, empty, (4, 8), 7, align=pyramid_roi_align)
    assert tuple(none.shape) == (2, 0, 7, 7, 3)
    box = np.array([[[9.3, 11.2, 70.1, 60.6]]] * 2, "float32")
    one = crop(features, box, 4, 7)
    many = crop(features, np.repeat(box, 5, axis=1), 4, 7)
    one, many = ops.convert_to_numpy(one), ops.convert_to_numpy(many)
    np.testing.assert_allclose(many, np.repeat(one, 5, axis=1), rtol=1e-6, atol=1e-6)
    assert np.abs(one).max() > 0.1


def test_enormous_boxes_give_numbers():
    """As an object without area among the targets makes them."""
    boxes = np.array([[(-1e9, -1e9, 1e9, 1e9), (1e8, 0, 1e9, 9), (0, 0, 1e-30, 1e-30)]], "float32")
    crops = ops.convert_to_numpy(crop(np.ones((1, 9, 9, 1), "float32"), boxes, 1, 7))
    assert np.all((crops >= 0) & (crops <= 1 + 1e-5))


class FirstCells(keras.layers.Layer):
    """Crops inside a functional model, whose batch and image sizes are unknown."""

    def call(self, maps, boxes):
        return pyramid_roi_align(maps, boxes, (4, 8), 7, data_format="channels_last")

    def compute_output_shape(self, maps_shape, boxes_shape):
        return (*boxes_shape[:2], 7, 7, maps_shape[0][-1])


def test_unknown_batch_and_size():
    first = keras.Input((None, None, 3))
    second = keras.Input((None, None, 3))
    boxes = keras.Input((len(BOXES), 4))
    model = keras.Model([first, second, boxes], FirstCells()([first, second], boxes))
    maps = [random_features(2, *SIZE, 3), random_features(2, 10, 13, 3)]
    given = np.array([list(BOXES.values())] * 2, "float32")
    outputs = model.predict([*maps, given], verbose=0)
    expected = crop(maps, given, (4, 8), 7, align=pyramid_roi_align)
    assert_close(outputs, ops.convert_to_numpy(expected))


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_dtypes(dtype):
    features = ops.cast(random_features(1, *SIZE, 2), dtype)
    boxes = np.array([list(BOXES.values())], "float32")
    crops = crop(features, boxes, STRIDE, 7)
    exact = crop(ops.cast(features, "float32"), boxes, STRIDE, 7)
    assert crops.dtype == features.dtype
    crops = ops.convert_to_numpy(ops.cast(crops, "float32"))
    np.testing.assert_allclose(crops, ops.convert_to_numpy(exact), atol=0.03)


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="counts what PyTorch keeps")
def test_backward_keeps_nothing_of_the_features():
    import torch

    kept = []
    features = torch.tensor(random_features(1, *SIZE, 64), requires_grad=True)
    boxes = torch.tensor([list(BOXES.values())], dtype=torch.float32, requires_grad=True)

    def keep(tensor):
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        crops = roi_align(features, boxes, STRIDE, 7, data_format="channels_last")
    assert crops.requires_grad
    assert kept
    # The 64 channels of the 32 x 32 cells are not kept, only places and weights.
    assert sum(kept) <= len(BOXES) * 3 * 32 * 7 * 7
    assert torch.autograd.grad(crops.sum(), boxes, allow_unused=True) == (None,)


def test_bad_arguments():
    features, boxes = np.zeros((1, 8, 8, 3), "float32"), np.zeros((1, 2, 4), "float32")
    with pytest.raises(ValueError, match=r"^`features` must be a batch of feature maps with 4"):
        roi_align(features[0], boxes, 1, 7)
    with pytest.raises(ValueError, match=r"^`boxes` must have the shape \(batch, number, 4\), but"):
        roi_align(features, boxes[0], 1, 7)
    with pytest.raises(ValueError, match=r"^`output_size` must be an integer of at least 1, but"):
        roi_align(features, boxes, 1, 0)
    with pytest.raises(ValueError, match=r"^`window` must be an integer of at least 2 or None"):
        roi_align(features, boxes, 1, 7, window=1)
    with pytest.raises(ValueError, match=r"^`data_format` must be one of"):
        roi_align(features, boxes, 1, 7, data_format="first")
    with pytest.raises(ValueError, match=r"^`strides` must have one entry per map \(1\)"):
        pyramid_roi_align([features], boxes, (4, 8), 7)
    with pytest.raises(ValueError, match=r"^`strides` must have one entry per map \(0\)"):
        pyramid_roi_align([], boxes, (), 7)
    with pytest.raises(ValueError, match=r"^`finest_scale` must be a positive number, but is 0\."):
        pyramid_roi_align([features], boxes, (4,), 7, finest_scale=0)
