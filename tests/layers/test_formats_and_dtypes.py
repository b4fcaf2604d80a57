"""Every layer in either data format, under every dtype policy, on images of any size."""

import contextlib

import keras
import numpy as np
import pytest
from keras import ops

from keras_dla.layers import EfficientChannelAttention, SqueezeExcitation
from tests.backends import ALL, all_on_pytorch
from tests.golden import assert_close
from tests.gradients import gradients
from tests.layers.stages import (
    INTERACTIONS,
    from_channels_first,
    functional,
    interaction,
    random_maps,
    randomize,
    run,
)

# Half precision is off by 2**-11 and 2**-8 of a number; the outputs sum a few of them.
TOLERANCES = {"float64": 1e-5, "mixed_float16": 1e-2, "mixed_bfloat16": 6e-2}
MAPS = {"float64": "float64", "mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}
CASES = [(name, {}) for name in INTERACTIONS]
CASES += [("dla_b", {"formulation": "paper"}), ("dla_l", {"formulation": "paper"})]


def name_of(tensor):
    return keras.backend.standardize_dtype(tensor.dtype)


def wide_floats(policy):
    """JAX knows float64 only where it is asked to."""
    if policy == "float64" and keras.backend.backend() == "jax":
        import jax
        import jax.experimental

        return (jax if hasattr(jax, "enable_x64") else jax.experimental).enable_x64(True)
    return contextlib.nullcontext()


def copied_weights(layer, source):
    """Gives `layer` the weights of `source`, which may be of another dtype."""
    layer.set_weights([ops.convert_to_numpy(w).astype("float32") for w in source.weights])
    return layer


def case_policies():
    """Elsewhere each layer in bfloat16, and the paper's formulations in the others, too."""
    for name, arguments in CASES:
        policies = TOLERANCES if ALL or arguments else ["mixed_bfloat16"]
        yield from ((name, arguments, policy) for policy in policies)


@pytest.mark.parametrize("training", all_on_pytorch([True, False], 1))
@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_data_formats_agree(name, arguments, training):
    branches, shortcuts = random_maps(3)
    last = interaction(name, 3, "channels_last", **arguments)
    first = copied_weights(interaction(name, 3, "channels_first", seed=5, **arguments), last)
    expected, _ = run(last, branches, shortcuts, training)
    outputs, _ = run(first, branches, shortcuts, training)
    assert_close(outputs, expected, 1e-5)


@pytest.mark.parametrize(("name", "arguments", "policy"), case_policies())
def test_dtype_policies(name, arguments, policy):
    branches, shortcuts = random_maps(2, batch=2)
    reference = interaction(name, 2, **arguments)
    expected, _ = run(reference, branches, shortcuts)
    with wide_floats(policy):
        layer = interaction(name, 2, dtype=policy, seed=5, **arguments)
        copied_weights(layer, reference)
        outputs, state = run(layer, branches, shortcuts)
        assert_close(outputs, expected.astype(outputs.dtype), TOLERANCES[policy])

        statistics = "float64" if policy == "float64" else "float32"
        for tensor in keras.tree.flatten(state):
            assert name_of(tensor) == (MAPS[policy] if len(tensor.shape) == 4 else statistics)
        output, _ = layer(branches[0].transpose(0, 2, 3, 1))
        assert name_of(output) == MAPS[policy]


@pytest.mark.parametrize("policy", all_on_pytorch(["mixed_float16", "mixed_bfloat16"], 1))
@pytest.mark.parametrize("name", INTERACTIONS)
def test_gradients_in_mixed_precision(name, policy):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(2, 3, 4, 64)).astype("float32")
    cotangent = rng.normal(size=images.shape).astype("float32")
    found = {}
    for dtype in ("float32", policy):
        layer = INTERACTIONS[name](2, data_format="channels_last", dtype=dtype)
        model = functional(layer, depth=2, output_dtype="float32")
        randomize(model)
        _, input_grad, weight_grads = gradients(model, images, cotangent, training=False)
        found[dtype] = [input_grad, *(weight_grads[id(w)] for w in model.trainable_variables)]
    for grad, expected in zip(found[policy], found["float32"], strict=True):
        assert np.isfinite(grad).all()
        if np.abs(expected).max() > 1e-2:
            # A ReLU near zero changes sides here and there.
            error = np.linalg.norm(grad - expected) / np.linalg.norm(expected)
            assert error < 0.15


@pytest.mark.parametrize("policy", [*TOLERANCES, "float32"])
@pytest.mark.parametrize("attention", [SqueezeExcitation, EfficientChannelAttention])
def test_dtype_policies_of_block_attention(attention, policy):
    x = np.random.default_rng(0).normal(size=(2, 5, 4, 64)).astype("float32")
    reference = attention(data_format="channels_last")
    reference.build(x.shape)
    expected = ops.convert_to_numpy(randomize(reference)(x))
    with wide_floats(policy):
        layer = attention(data_format="channels_last", dtype=policy)
        layer.build(x.shape)
        output = copied_weights(layer, reference)(x)
        assert name_of(output) == MAPS.get(policy, "float32")
        output = ops.convert_to_numpy(ops.cast(output, "float32"))
        assert_close(output, expected, TOLERANCES.get(policy, 1e-6))


@pytest.mark.parametrize("data_format", all_on_pytorch(["channels_last", "channels_first"], 1))
@pytest.mark.parametrize("name", INTERACTIONS)
def test_unknown_batch_and_image_size(name, data_format):
    layer = INTERACTIONS[name](3, data_format=data_format)
    model = functional(layer)
    randomize(model)
    channels = 3 if data_format == "channels_last" else 1
    assert model.output_shape == model.input_shape
    assert model.output_shape[channels] == 64
    for shape in ((2, 64, 5, 4), (1, 64, 3, 7)):
        images = np.random.default_rng(0).normal(size=shape).astype("float32")
        images = from_channels_first(images, data_format)
        x, state = images, None
        for index in range(3):
            x, state = layer(x, state, shortcut=images, index=index)
        assert_close(model(images), ops.convert_to_numpy(x), 1e-6)
