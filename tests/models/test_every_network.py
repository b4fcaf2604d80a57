"""What every network of the tables must do, whichever way its blocks interact.

Every backend compiles and trains each of them; the gradients, dtypes and sizes of their layers are
tested on every backend in tests/layers.
"""

import gc
import warnings

import keras
import numpy as np
import pytest
from keras import ops

from keras_dla.layers import MRLABase
from keras_dla.layers.registry import interaction_names
from keras_dla.models import ResNet
from tests.backends import ALL, on_pytorch
from tests.gradients import gradients
from tests.layers.stages import randomize

NAMES = [None, *interaction_names()]
# One block a stage shows them whole; the others read or stand in a second one.
WITHIN_A_BLOCK = {None, "se", "eca", "cbam", "aa", "gc", "ba"}


def network(name, **kwargs):
    depth = 11 if name in WITHIN_A_BLOCK else 20
    return ResNet(depth, name, classes=3, data_format="channels_last", **kwargs)


def trained_network(name):
    """Elsewhere, where compiling takes long, two narrow blocks; golden networks have stages."""
    if ALL:
        return network(name)
    return ResNet((2,), name, classes=3, planes=(8,), data_format="channels_last")


def images(*shape):
    return np.random.default_rng(0).normal(size=(*shape, 3)).astype("float32")


@on_pytorch
@pytest.mark.parametrize("name", NAMES)
def test_every_weight_is_reached(name):
    model = randomize(network(name))
    cotangent = np.random.default_rng(1).normal(size=(4, 3)).astype("float32")
    _, _, grads = gradients(model, images(4, 16, 16), cotangent)
    unreached = [w.path for w in model.trainable_variables if not np.abs(grads[id(w)]).any()]
    # A bias of scores cancels in GC's softmax; rounding may leave it a gradient of 1e-9.
    assert [path for path in unreached if "score_bias" not in path] == first_queries(model)


def first_queries(model):
    """In the base versions, the first softmax of a stage is over one key: the query has no say."""
    attentions = [getattr(layer, "attention", layer) for layer in model.layers]
    base = [layer for layer in attentions if isinstance(layer, MRLABase)]
    return [layer.queries[0].kernel.path for layer in base]


@pytest.mark.parametrize("name", NAMES)
def test_two_steps_of_training(name):
    model = trained_network(name)
    model.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # NumPy's remark about Keras's own conversion of arrays.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        history = model.fit(images(4, 16, 16), np.array([0, 1, 2, 0]), batch_size=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert all(np.isfinite(ops.convert_to_numpy(weight)).all() for weight in model.weights)


@on_pytorch
@pytest.mark.parametrize("name", NAMES)
def test_mixed_bfloat16(name):
    expected = network(name)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = network(name)
    finally:
        keras.config.set_dtype_policy(before)
    for weight, value in zip(model.weights, expected.weights, strict=True):
        if "seed_generator" not in value.path:
            weight.assign(ops.convert_to_numpy(value))
    stage = model.get_layer("stage3_output").output
    assert keras.backend.standardize_dtype(stage.dtype) == "bfloat16"
    x = images(2, 16, 16)
    found, expected = (ops.convert_to_numpy(network(x)) for network in (model, expected))
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, expected, atol=0.05)


@on_pytorch
@pytest.mark.parametrize("name", NAMES)
def test_images_of_any_size(name):
    model = randomize(network(name, include_top=False))
    for height, width in ((16, 16), (12, 20)):
        output = model(images(1, height, width))
        assert tuple(output.shape) == (1, height // 4, width // 4, 256)
        assert np.isfinite(ops.convert_to_numpy(output)).all()


@on_pytorch
@pytest.mark.parametrize("name", NAMES)
def test_pyramid_levels(name):
    model = network(name, include_top=False)
    assert list(model.pyramid_outputs) == list(model.pyramid_level_inputs) == ["P0", "P1", "P2"]
    for level, layer in model.pyramid_level_inputs.items():
        assert model.get_layer(layer).output is model.pyramid_outputs[level]


def maps_alive():
    import torch

    return sum(type(x) is torch.Tensor and x.ndim == 4 for x in gc.get_objects())


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="counts PyTorch's tensors")
@pytest.mark.parametrize("name", NAMES)
def test_no_map_waits_for_pythons_collector(name):
    model = network(name)
    model.compile("sgd", "sparse_categorical_crossentropy")
    batch = images(2, 8, 8), np.zeros(2)
    model.train_on_batch(*batch)
    gc.collect()
    before = maps_alive()
    gc.disable()
    try:
        model.train_on_batch(*batch)
        assert maps_alive() == before
    finally:
        gc.enable()
