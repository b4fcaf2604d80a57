import keras
import numpy as np
import pytest
from keras import ops

from keras_dla.layers import AttentionAugmentedConvolution
from keras_dla.layers.block_attention.block_attention import BlockPlace
from keras_dla.models import ResNet
from tests import golden
from tests.backends import all_on_pytorch, on_pytorch
from tests.layers import block_attentions
from tests.layers.block_attentions import FORMATS, POLICIES, maps, model_of
from tests.layers.stages import randomize
from tests.layers.test_formats_and_dtypes import wide_floats

# Two heads with two value and three key channels, and eight channels of the convolution.
SMALL = {"filters": 12, "heads": 2, "kappa": 0.5, "upsilon": 0.34, "min_key_channels": 2}
CHANNELS = 5
SHAPE = (2, CHANNELS, 5, 4)
CASES = {
    "as it is": {"max_size": 5},
    "more table than map": {"max_size": 7},
    "far offsets clipped": {"max_size": 2},
    "strides": {"strides": 2, "max_size": 3},
    "downsampling": {"downsampling": 2, "max_size": 3},
    "strides and downsampling": {"strides": 2, "downsampling": 2, "max_size": 2},
}


def small(data_format="channels_last", **arguments):
    return AttentionAugmentedConvolution(**{**SMALL, "data_format": data_format, **arguments})


def convolve(x, kernel, strides):
    """A zero-padded convolution of NCHW maps."""
    half = kernel.shape[0] // 2
    padded = np.pad(x, ((0, 0), (0, 0), (half, half), (half, half)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[:2], axis=(2, 3))
    return np.einsum("bchwij,ijcd->bdhw", windows[:, :, ::strides, ::strides], kernel)


def average(x, factor):
    """Means of windows around every `factor`-th position, of what lies inside the map."""
    height, width = x.shape[2:]
    rows = [
        [
            x[
                :,
                :,
                max(row - factor + 1, 0) : row + factor,
                max(column - factor + 1, 0) : column + factor,
            ].mean((2, 3))
            for column in range(0, width, factor)
        ]
        for row in range(0, height, factor)
    ]
    return np.array(rows).transpose(2, 3, 0, 1)


def interpolate(x, factor, height, width):
    for axis, size in ((2, height), (3, width)):
        positions, known = np.arange(size) / factor, np.arange(x.shape[axis])
        x = np.apply_along_axis(lambda line, p=positions, k=known: np.interp(p, k, line), axis, x)
    return x


def relative_vectors(table, positions):
    """r for every pair of positions; the table's middle belongs to the offset 0."""
    reach = len(table) // 2
    offsets = positions[None, :] - positions[:, None]
    return table[reach + np.clip(offsets, -reach, reach)]


def attend(q, k, v, height_table, width_table):
    """Eq. 1 to 5 for one head; q, k and v are `[batch, channels, height, width]`."""
    height, width = q.shape[2:]
    rows, columns = (place.ravel() for place in np.indices((height, width)))
    q, k, v = (part.reshape(*part.shape[:2], -1) for part in (q, k, v))
    scores = np.einsum("bci,bcj->bij", q, k)
    scores = scores + np.einsum("bci,ijc->bij", q, relative_vectors(height_table, rows))
    scores = scores + np.einsum("bci,ijc->bij", q, relative_vectors(width_table, columns))
    exponentials = np.exp(scores / np.sqrt(q.shape[1]))
    weights = exponentials / exponentials.sum(-1, keepdims=True)
    return np.einsum("bij,bcj->bci", weights, v).reshape(*v.shape[:2], height, width)


def paper(x, weights, strides=1, downsampling=1, **settings):
    """The layer on NCHW maps, in NumPy."""
    convolved = convolve(x, weights["convolution/kernel"], strides)
    x = average(x, downsampling)
    q, k, v = np.split(convolve(x, weights["queries_keys_values/kernel"], strides), (6, 12), axis=1)
    tables = [weights["height_table"], weights["width_table"]]
    heads = [
        attend(*(np.split(part, 2, axis=1)[head] for part in (q, k, v)), *tables)
        for head in range(2)
    ]
    attended = convolve(np.concatenate(heads, axis=1), weights["projection/kernel"], 1)
    attended = interpolate(attended, downsampling, *convolved.shape[2:])
    return np.concatenate([convolved, attended], axis=1)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("case", all_on_pytorch(reversed(CASES), 1))
def test_equations_of_the_paper(case, data_format):
    """Values and gradients, against a transcription in float64 and its differences."""
    layer = small(data_format, **CASES[case])

    def transcription(x, weights):
        return paper(x, weights, **CASES[case])

    block_attentions.assert_equals_transcription(transcription, layer, maps(SHAPE))
    assert len(layer.trainable_variables) == 5


@pytest.mark.parametrize("dtype", all_on_pytorch(["float64", "float32"], 1))
def test_equals_an_implementation_that_is_not_ours(dtype):
    """Its tables have the size of the map, as ours where `max_size` is not given."""
    names = {
        "conv_layer.weight": "convolution/kernel",
        "qkv_layer.weight": "queries_keys_values/kernel",
        "attn_layer.weight": "projection/kernel",
        "key_rel_h": "height_table",
        "key_rel_w": "width_table",
    }
    arrays = golden.load("block_aa")
    with wide_floats(dtype):
        layer = small("channels_first", dtype=dtype)
        layer.build(arrays["input"].shape)
        block_attentions.assert_equals_others(layer, arrays, names, dtype, "output")


@pytest.mark.parametrize(
    ("filters", "heads", "keys", "values"),
    [
        # ResNet, Wide-ResNet-28-10, and the narrow CIFAR networks.
        (128, 8, 160, 8),
        (256, 8, 160, 24),
        (512, 8, 160, 48),
        (160, 8, 160, 16),
        (320, 8, 160, 32),
        (640, 8, 160, 64),
        (1024, 8, 200, 96),
        (16, 2, 40, 2),
        (32, 3, 60, 3),
        (64, 6, 120, 6),
    ],
)
def test_channels_of_the_heads(filters, heads, keys, values):
    layer = AttentionAugmentedConvolution(filters)
    assert (layer.heads_used, layer.key_channels, layer.value_channels) == (heads, keys, values)


def test_places_and_sizes_in_networks():
    mine = AttentionAugmentedConvolution(16, heads=4, data_format="channels_last")
    place = BlockPlace(stage=0, stages=4, index=0, depth=3, planes=64, strides=1)
    assert mine.for_block(place) is None
    found = []
    for stage in (1, 2, 3):
        layer = mine.for_block(place._replace(stage=stage, strides=2), "name")
        assert (layer.filters, layer.strides, layer.heads, layer.name) == (64, 2, 4, "name")
        found.append((layer.downsampling, layer.max_size))
    # Of the maps of 28x28, 14x14 and 7x7, the first are downsampled for the attention.
    assert found == [(2, 14), (1, 14), (1, 7)]
    cifar = [mine.for_block(place._replace(stage=s, stages=3)) for s in range(3)]
    assert [(layer.downsampling, layer.max_size) for layer in cifar] == [(1, 32), (1, 16), (1, 8)]
    far = AttentionAugmentedConvolution(16, max_size=40)
    assert far.for_block(place._replace(stage=2)).max_size == 40


@on_pytorch
def test_where_it_stands_in_a_block():
    model = ResNet(20, "aa", classes=3)
    layer = model.get_layer("stage2_block1_attention")
    (node,) = layer._inbound_nodes
    assert node.input_tensors[0]._keras_history.operation.name == "stage2_block1_relu1"
    assert not [layer.name for layer in model.layers if layer.name.endswith("conv2")]
    names = [layer.name for layer in ResNet(50, "aa", stem="imagenet").layers]
    assert {name for name in names if name.endswith("conv2")} == {
        f"stage1_block{number}_conv2" for number in (1, 2, 3)
    }


def test_the_table_takes_the_size_of_known_images():
    layer = AttentionAugmentedConvolution(64, strides=2, data_format="channels_first")
    layer.build((None, 8, 9, 20))
    assert tuple(layer.height_table.shape) == (2 * 5 - 1, 20)
    assert tuple(layer.width_table.shape) == (2 * 10 - 1, 20)
    layer = AttentionAugmentedConvolution(64, data_format="channels_last")
    sentence = (
        r"^`max_size` must be an integer if the size of the images is unknown, but is None for "
        r"inputs of shape \(None, None, 8, 4\)\.$"
    )
    with pytest.raises(ValueError, match=sentence):
        layer.build((None, None, 8, 4))


def test_initial_values():
    layer = AttentionAugmentedConvolution(256, max_size=28, data_format="channels_last")
    layer.build((None, None, None, 64))
    for table in (layer.height_table, layer.width_table):
        table = ops.convert_to_numpy(table)
        assert abs(table.mean() - 20**-0.5) < 0.12
        assert abs(table.std() - 1) < 0.1
    for convolution in (layer.convolution, layer.queries_keys_values, layer.projection):
        height, width, _, filters = convolution.kernel.shape
        deviation = np.std(ops.convert_to_numpy(convolution.kernel))
        assert abs(deviation / np.sqrt(2 / (height * width * filters)) - 1) < 0.1


@pytest.mark.parametrize("policy", POLICIES)
def test_dtype_policies(policy):
    x = maps(SHAPE).transpose(0, 2, 3, 1)
    block_attentions.assert_dtype_policy(policy, x, small, downsampling=2, max_size=3)


@pytest.mark.parametrize("policy", all_on_pytorch(["mixed_float16", "mixed_bfloat16"], 1))
def test_gradients_in_mixed_precision(policy):
    x, cotangent = maps((2, 5, 4, CHANNELS)), maps((2, 5, 4, 12), seed=1)
    block_attentions.assert_gradients_near_float32(policy, x, cotangent, small, max_size=4)


@pytest.mark.parametrize(
    ("data_format", "downsampling"),
    all_on_pytorch([(FORMATS[0], 2), (FORMATS[1], 1), (FORMATS[0], 1), (FORMATS[1], 2)], 2),
)
def test_unknown_batch_and_image_size(data_format, downsampling):
    layer = small(data_format, strides=2, downsampling=downsampling, max_size=3)
    model = randomize(model_of(layer, CHANNELS))
    assert model.output_shape == layer.compute_output_shape(model.input_shape)
    for shape in (SHAPE, (1, CHANNELS, 9, 1)):
        images = golden.as_format(maps(shape), data_format)
        block_attentions.assert_predicts_as_called(model, layer, images, 1e-5)


def test_training_compiled():
    """Under XLA where the backend has it."""
    model = model_of(small(strides=2, downsampling=2, max_size=3), CHANNELS)
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile="auto")
    x, y = maps((4, 5, 4, CHANNELS)), np.zeros((4, 3, 2, 12), "float32")
    losses = model.fit(x, y, batch_size=2, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_copied_by_its_configuration():
    layer = small("channels_first", strides=2, downsampling=2, max_size=9, dtype="mixed_bfloat16")
    copied = block_attentions.copy_by_config(layer)
    assert (copied.filters, copied.strides, copied.downsampling) == (12, 2, 2)


def added(planes, heads, values, size):
    """Parameters of one layer, less those of the convolution in whose place it stands."""
    keys = 20 * heads
    projections = planes * (2 * keys + values) + values**2
    tables = 2 * (2 * size - 1) * 20
    return projections + tables - 9 * planes * values


@on_pytorch
@pytest.mark.parametrize(("depth", "count"), [(20, 285_094), (56, 739_210), (110, 1_420_384)])
def test_parameters_of_cifar_networks(depth, count):
    more = added(16, 2, 2, 32) + added(32, 3, 3, 16) + added(64, 6, 6, 8)
    block_attentions.assert_cifar_count("aa", depth, (depth - 2) // 9 * more, count)


@on_pytorch
@pytest.mark.parametrize(
    ("depth", "blocks", "count", "published"),
    [(50, (4, 6, 3), 25_809_392, "25.8"), (101, (4, 23, 3), 45_386_728, "45.4")],
)
def test_parameters_of_imagenet_networks(depth, blocks, count, published):
    """`published` by Bello et al.; Table 2 of the DLA paper has 27.1M and 47.6M instead."""
    more = [added(128, 8, 8, 14), added(256, 8, 24, 14), added(512, 8, 48, 7)]
    total = sum(n * m for n, m in zip(blocks, more, strict=True))
    block_attentions.assert_imagenet_count("aa", depth, total, count)
    assert f"{count / 1e6:.1f}" == published


def test_bad_arguments():
    for name in ("filters", "strides", "heads", "min_key_channels", "downsampling", "max_size"):
        block_attentions.assert_refuses_zero(AttentionAugmentedConvolution, name, filters=64)
    for name in ("kappa", "upsilon"):
        sentence = rf"^`{name}` must be more than 0 and at most 1, but is 1\.5\.$"
        with pytest.raises(ValueError, match=sentence):
            AttentionAugmentedConvolution(64, **{name: 1.5})
    sentence = (
        r"^`upsilon` must leave the convolution at least one of the 64 `filters`, but is 1\.0\.$"
    )
    with pytest.raises(ValueError, match=sentence):
        AttentionAugmentedConvolution(64, upsilon=1.0)
    layer = AttentionAugmentedConvolution(64, data_format="channels_last")
    block_attentions.assert_refuses_unknown_channels(layer)


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="PyTorch traces one size for all")
def test_exported_by_pytorch_it_computes_at_any_size():
    """A size that became a constant would be the traced one, larger than this."""
    from keras_dla.interop.exporting_torch import exported_program

    model = model_of(randomize(small(downsampling=2, max_size=3)), CHANNELS)
    x = ops.convert_to_tensor(maps((2, 9, 12, CHANNELS)))
    golden.assert_close(exported_program(model).module()(x), ops.convert_to_numpy(model(x)), 1e-5)
