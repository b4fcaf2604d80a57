import keras
import numpy as np
import pytest
from keras import ops

from keras_dla.detection.heads.feature_pyramid import FeaturePyramid

FORMATS = ["channels_last", "channels_first"]
# Odd sizes among them, and a width that equals the channels: Keras once added a bias along it.
SIZES = ((13, 18), (7, 9), (4, 5), (2, 3))
CHANNELS = (4, 6, 8, 10)
WIDTH = 9


def convolve(x, kernel, bias):
    """NHWC convolution, zero-padded."""
    half = kernel.shape[0] // 2
    x = np.pad(x, ((0, 0), (half, half), (half, half), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], axis=(1, 2))
    return np.einsum("bhwcij,ijcd->bhwd", windows, kernel) + bias


def nearest(x, size):
    """PyTorch's `interpolate(x, size, mode="nearest")`."""
    rows, columns = (
        np.arange(new) * old // new for new, old in zip(size, x.shape[1:3], strict=True)
    )
    return x[:, rows][:, :, columns]


def transcription(maps, weights, extra_levels):
    """MMDetection's FPN; `weights` are (kernel, bias) of the laterals, then of the outputs."""
    laterals, outputs = weights[: len(maps)], weights[len(maps) :]
    merged = [convolve(x, *weight) for x, weight in zip(maps, laterals, strict=True)]
    for n in range(len(maps) - 1, 0, -1):
        merged[n - 1] += nearest(merged[n], merged[n - 1].shape[1:3])
    levels = [convolve(x, *weight) for x, weight in zip(merged, outputs, strict=True)]
    for _ in range(extra_levels):
        levels.append(levels[-1][:, ::2, ::2])
    return levels


def random_maps():
    rng = np.random.default_rng(0)
    return [
        rng.normal(size=(2, *size, channels)).astype("float32")
        for size, channels in zip(SIZES, CHANNELS, strict=True)
    ]


def to_format(x, data_format):
    return x if data_format == "channels_last" else np.moveaxis(x, -1, 1)


def to_channels_last(x, data_format):
    x = ops.convert_to_numpy(x)
    return x if data_format == "channels_last" else np.moveaxis(x, 1, -1)


def randomize(layer):
    rng = np.random.default_rng(1)
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape).astype("float32") / 4)


def weights_of(layer):
    convolutions = [*layer.laterals, *layer.outputs]
    return [
        tuple(ops.convert_to_numpy(v).astype("float64") for v in (c.kernel, c.bias))
        for c in convolutions
    ]


def built(data_format, **kwargs):
    layer = FeaturePyramid(WIDTH, data_format=data_format, **kwargs)
    layer.build([to_format(x, data_format).shape for x in random_maps()])
    randomize(layer)
    return layer


def unknown_model(layer, data_format):
    """A model of `layer` that knows neither the batch nor the size of the maps."""
    last = data_format == "channels_last"
    inputs = [keras.Input((None, None, n) if last else (n, None, None)) for n in CHANNELS]
    return keras.Model(inputs, layer(inputs))


@pytest.mark.parametrize("data_format", FORMATS)
def test_values(data_format):
    layer = built(data_format, extra_levels=2)
    model = unknown_model(layer, data_format)
    maps = random_maps()
    levels = model.predict_on_batch([to_format(x, data_format) for x in maps])
    expected = transcription(maps, weights_of(layer), 2)
    assert len(levels) == len(expected) == 6
    for level, values in zip(levels, expected, strict=True):
        level = to_channels_last(level, data_format)
        assert level.shape == values.shape
        np.testing.assert_allclose(level, values, atol=1e-5 * np.abs(values).max())


@pytest.mark.parametrize("data_format", FORMATS)
def test_every_weight_learns(data_format):
    layer = built(data_format)
    model = unknown_model(layer, data_format)
    before = [ops.convert_to_numpy(weight).copy() for weight in layer.trainable_variables]
    model.compile(keras.optimizers.SGD(1.0), [lambda y, x: ops.mean(x * y)] * 5)
    inputs = [to_format(x, data_format) for x in random_maps()]
    model.train_on_batch(inputs, [np.ones(x.shape, "float32") for x in layer(inputs)])
    for weight, old in zip(layer.trainable_variables, before, strict=True):
        assert np.any(ops.convert_to_numpy(weight) != old), weight.path


def test_parameters_of_resnet_50():
    layer = FeaturePyramid(data_format="channels_last")
    layer.build([(None, None, None, channels) for channels in (256, 512, 1024, 2048)])
    laterals = 256 * (256 + 512 + 1024 + 2048) + 4 * 256
    outputs = 4 * (9 * 256 * 256 + 256)
    assert layer.count_params() == laterals + outputs == 3_344_384


def test_initial_values():
    layer = FeaturePyramid(256, data_format="channels_last")
    layer.build([(None, 8, 8, 512)])
    for convolution, fans in ((layer.laterals[0], 512 + 256), (layer.outputs[0], 9 * 512)):
        limit = np.sqrt(6 / fans)
        kernel = ops.convert_to_numpy(convolution.kernel)
        assert 0.99 * limit < np.abs(kernel).max() <= limit * (1 + 1e-6)
        assert not np.any(ops.convert_to_numpy(convolution.bias))


@pytest.mark.parametrize("data_format", FORMATS)
def test_shapes(data_format):
    layer = built(data_format)
    inputs = [to_format(x, data_format) for x in random_maps()]
    shapes = [tuple(level.shape) for level in layer(inputs)]
    assert shapes == layer.compute_output_shape([x.shape for x in inputs])
    unknown = [(None, *shape[1:]) for shape in ([x.shape for x in inputs])]
    assert layer.compute_output_shape(unknown)[-1] == (None, *shapes[-1][1:])
    assert layer.flops(inputs)["outputs"] == 9 * WIDTH**2 * (13 * 18 + 7 * 9 + 4 * 5 + 2 * 3)


def test_mixed_precision():
    layer = FeaturePyramid(WIDTH, data_format="channels_last", dtype="mixed_bfloat16")
    levels = layer(random_maps())
    assert {keras.backend.standardize_dtype(level.dtype) for level in levels} == {"bfloat16"}
    assert {weight.dtype for weight in layer.weights} == {"float32"}


def test_saved_and_loaded(tmp_path):
    data_format = "channels_first"
    layer = built(data_format, extra_levels=2, name="pyramid")
    copied = FeaturePyramid.from_config(layer.get_config())
    assert copied.get_config() == layer.get_config()
    model = unknown_model(layer, data_format)
    model.save(tmp_path / "pyramid.keras")
    loaded = keras.models.load_model(tmp_path / "pyramid.keras")
    inputs = [to_format(x, data_format) for x in random_maps()]
    outputs = model.predict_on_batch(inputs), loaded.predict_on_batch(inputs)
    for level, again in zip(*outputs, strict=True):
        np.testing.assert_array_equal(again, level)


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"^`channels` must be an integer of at least 1, but is 0"):
        FeaturePyramid(0)
    with pytest.raises(ValueError, match=r"^`extra_levels` must be an integer of at least 0, but"):
        FeaturePyramid(8, extra_levels=-1)
    layer = FeaturePyramid(8, data_format="channels_last")
    with pytest.raises(ValueError, match=r"^`maps` must be a list of feature maps, but has the"):
        layer.build((None, 8, 8, 3))
    with pytest.raises(ValueError, match=r"^`maps` must each be half as high and wide as the one"):
        layer.build([(None, 8, 8, 3), (None, 2, 2, 3)])
    with pytest.raises(ValueError, match=r"^`maps` must have a known number of channels on axis"):
        layer.build([(None, 8, 8, None)])
