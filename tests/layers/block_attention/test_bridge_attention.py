import keras
import numpy as np
import pytest
from keras import ops

from keras_dla.layers import BridgeAttention
from tests import golden
from tests.backends import on_pytorch
from tests.gradients import gradients
from tests.layers import block_attentions
from tests.layers.block_attentions import FORMATS, POLICIES
from tests.layers.stages import channels_first, randomize

# Maps behind the first two activations of a bottleneck block with stride 2, and its branch.
SHAPES = [(6, 16, 6, 4), (6, 16, 3, 2), (6, 64, 3, 2)]
BRIDGES = ("pre_fusions.0", "pre_fusions.1", "cur_fusion")


def authors_names(layer):
    """Returns every variable of `layer` by its name in the authors' code."""
    variables = {"generation.1.weight": layer.kernel}
    for bridge, kernel, norm in zip(BRIDGES, layer.bridges, layer.norms, strict=True):
        variables[f"{bridge}.0.weight"] = kernel
        variables[f"{bridge}.1.weight"] = norm.gamma
        variables[f"{bridge}.1.bias"] = norm.beta
        variables[f"{bridge}.1.running_mean"] = norm.moving_mean
        variables[f"{bridge}.1.running_var"] = norm.moving_variance
    return variables


def three_maps():
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape).astype("float32") for shape in SHAPES]


def as_formats(arrays, data_format):
    return [golden.as_format(array, data_format) for array in arrays]


def flat(arrays):
    """Several batches as one, `[batch, entries]`."""
    return np.concatenate([array.reshape(len(array), -1) for array in arrays], axis=1)


def model_of_a_vector(layer):
    """A model that takes the three maps as one vector, so that there is one input gradient."""
    shapes = [shape[1:] for shape in SHAPES]
    if layer.data_format == "channels_last":
        shapes = [(*shape[1:], shape[0]) for shape in shapes]
    ends = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)])
    inputs = keras.Input((int(ends[-1]),))
    parts = [
        ops.reshape(inputs[:, start:end], (-1, *shape))
        for start, end, shape in zip(ends[:-1], ends[1:], shapes, strict=True)
    ]
    return keras.Model(inputs, layer(parts))


@pytest.mark.parametrize("data_format", FORMATS)
def test_equals_the_authors_code(data_format):
    arrays = golden.load("block_ba")
    layer = BridgeAttention(data_format=data_format)
    model = model_of_a_vector(layer)
    variables = authors_names(layer)
    for name, variable in variables.items():
        variable.assign(arrays[f"state/{name}"].T)
    inputs = flat(as_formats([arrays[f"input{n}"] for n in (1, 2, 3)], data_format))
    cotangent = golden.as_format(arrays["cotangent"], data_format)

    output = channels_first(model(inputs, training=False), data_format)
    golden.assert_close(output, arrays["output_eval"], 1e-5)

    output, input_grad, grads = gradients(model, inputs, cotangent)
    golden.assert_close(channels_first(output, data_format), arrays["output_train"], 1e-5)
    expected = flat(as_formats([arrays[f"input{n}_grad"] for n in (1, 2, 3)], data_format))
    golden.assert_close(input_grad, expected, 1e-5)
    expected = golden.part(arrays, "grad/")
    assert len(expected) == len(model.trainable_variables)
    for name, grad in expected.items():
        golden.assert_close(grads[id(variables[name])], grad.T, 1e-5)


def test_statistics_move_as_the_authors_do():
    arrays = golden.load("block_ba")
    layer = BridgeAttention(data_format="channels_first")
    layer.build(SHAPES)
    variables = authors_names(layer)
    for name, variable in variables.items():
        variable.assign(arrays[f"state/{name}"].T)
    layer([arrays[f"input{n}"] for n in (1, 2, 3)], training=True)
    for name, mean in golden.part(arrays, "moved/").items():
        golden.assert_close(variables[name], mean, 1e-5)
    assert {norm.epsilon for norm in layer.norms} == {1e-5}


def test_any_number_of_maps():
    """A basic block has one map before its branch."""
    _, first, last = (golden.as_format(array, "channels_last") for array in three_maps())
    layer = BridgeAttention(reduction=4, data_format="channels_last")
    layer.build([first.shape, last.shape])
    assert [tuple(kernel.shape) for kernel in layer.bridges] == [(16, 16), (64, 16)]
    assert tuple(layer([first, last]).shape) == last.shape
    # BN, whose moving statistics are still 0 and 1, only divides by the root of 1 + epsilon.
    weights = [ops.convert_to_numpy(weight) for weight in (*layer.bridges, layer.kernel)]
    fusion = (first.mean((1, 2)) @ weights[0] + last.mean((1, 2)) @ weights[1]) / np.sqrt(1 + 1e-5)
    gate = 1 / (1 + np.exp(-np.maximum(fusion, 0) @ weights[2]))
    golden.assert_close(layer([first, last]), last * gate[:, None, None], 1e-5)


def test_initial_values():
    layer = BridgeAttention(data_format="channels_first")
    layer.build(SHAPES)
    for kernel in (*layer.bridges, layer.kernel):
        assert 0.8 < np.abs(ops.convert_to_numpy(kernel)).max() * np.sqrt(kernel.shape[0]) <= 1
    for norm in layer.norms:
        np.testing.assert_array_equal(ops.convert_to_numpy(norm.gamma), np.ones(4))
        np.testing.assert_array_equal(ops.convert_to_numpy(norm.beta), np.zeros(4))


@pytest.mark.parametrize("policy", POLICIES)
def test_dtype_policies(policy):
    block_attentions.assert_dtype_policy(policy, three_maps(), BridgeAttention, "channels_first")


@pytest.mark.parametrize("data_format", FORMATS)
def test_unknown_batch_and_image_size(data_format):
    last = data_format == "channels_last"
    inputs = [
        keras.Input((None, None, channels) if last else (channels, None, None))
        for channels in (16, 16, 64)
    ]
    layer = BridgeAttention(data_format=data_format)
    model = keras.Model(inputs, layer(inputs))
    randomize(model)
    assert model.output_shape == (None, *inputs[-1].shape[1:])
    for batch in (6, 1):
        arrays = as_formats([array[:batch] for array in three_maps()], data_format)
        block_attentions.assert_predicts_as_called(model, layer, arrays, 1e-6)


def test_copied_by_its_configuration():
    layer = BridgeAttention(4, "channels_first", dtype="mixed_bfloat16", name="mine")
    copied = block_attentions.copy_by_config(layer)
    assert (copied.reduction, copied.data_format) == (4, "channels_first")


def parameters(planes):
    """Of one layer: from planes, planes and 4 planes to planes/4 with BN, and to 4 planes."""
    hidden = planes // 4
    return 6 * planes * hidden + 3 * 2 * hidden + hidden * 4 * planes


@on_pytorch
@pytest.mark.parametrize(("depth", "count"), [(20, 270_724), (56, 696_100), (110, 1_334_164)])
def test_parameters_of_cifar_networks(depth, count):
    added = (depth - 2) // 9 * sum(parameters(planes) for planes in (16, 32, 64))
    block_attentions.assert_cifar_count("ba", depth, added, count)


@on_pytorch
@pytest.mark.parametrize(
    ("depth", "blocks", "count"), [(50, (3, 4, 6, 3), 28_706_376), (101, (3, 4, 23, 3), 50_490_312)]
)
def test_parameters_of_imagenet_networks(depth, blocks, count):
    """For 50 layers 3.15M more than plain; Table 3 has 3.2M (44.7M for 41.5M)."""
    planes = (64, 128, 256, 512)
    added = sum(n * parameters(p) for n, p in zip(blocks, planes, strict=True))
    block_attentions.assert_imagenet_count("ba", depth, added, count)


def test_bad_arguments():
    block_attentions.assert_refuses_zero(BridgeAttention, "reduction")
    layer = BridgeAttention(data_format="channels_last")
    block_attentions.assert_refuses_8_channels(layer, [(None, 2, 2, 64), (None, 2, 2, 8)])
    block_attentions.assert_refuses_unknown_channels(layer, [(None, 2, 2, None), (None, 2, 2, 64)])
    sentence = (
        r"^`inputs` must be a list of batches of feature maps, but has shape "
        r"\(None, 2, 2, 64\)\.$"
    )
    with pytest.raises(ValueError, match=sentence):
        layer.build((None, 2, 2, 64))
