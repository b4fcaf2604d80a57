"""Inside another layer's call PyTorch goes straight to `call`, and computes what Keras computes."""

from contextlib import nullcontext

import keras
import numpy as np
import pytest
from keras import ops

from keras_dla.layers import DropPath
from keras_dla.layers.straight_call import StraightCall
from keras_dla.models import get_model

on_pytorch_alone = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="The other backends compile the calls."
)


class Inner(StraightCall, keras.layers.Layer):
    """Notes how it was called."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1],), initializer="ones")
        self.notes = []

    def call(self, x, training=False):
        self.notes.append((training, str(x.dtype), str(ops.convert_to_tensor(self.kernel).dtype)))
        return x * self.kernel


class Outer(keras.layers.Layer):
    def __init__(self, inner, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.inner = inner

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x, **of_inner):
        return self.inner(x, **of_inner)


def ones(dtype="float32"):
    return ops.ones((2, 3), dtype)


@pytest.fixture
def keras_calls(monkeypatch):
    """Names of the layers that Keras's own `__call__` was entered for."""
    names = []
    usual = keras.layers.Layer.__call__

    def noted(self, *args, **kwargs):
        names.append(self.name)
        return usual(self, *args, **kwargs)

    monkeypatch.setattr(keras.layers.Layer, "__call__", noted)
    return names


@on_pytorch_alone
def test_the_inner_call_is_straight_and_the_outer_is_not(keras_calls):
    outer = Outer(Inner(name="inner"), name="outer")
    outer(ones())
    assert keras_calls == ["outer"]
    outer.inner(ones())
    assert keras_calls == ["outer", "inner"]


def hooked(inner):
    inner.register_forward_hook(lambda layer, inputs, outputs: outputs + 1)


def regularised(inner):
    inner.activity_regularizer = keras.regularizers.L2(1.0)


def masked(x):
    x._keras_mask = ops.ones((2,), "bool")
    return x


@on_pytorch_alone
@pytest.mark.parametrize("prepare", [hooked, regularised])
def test_a_layer_with_more_to_do_is_called_by_keras(prepare, keras_calls):
    outer = Outer(Inner(name="inner"), name="outer")
    outer.build((2, 3))
    prepare(outer.inner)
    y = ops.convert_to_numpy(outer(ones()))
    assert keras_calls == ["outer", "inner"]
    assert y.max() == (2 if prepare is hooked else 1)
    assert len(outer.losses) == (prepare is regularised)


@on_pytorch_alone
@pytest.mark.parametrize(
    "make", [lambda: ones("float16"), lambda: np.ones((2, 3)), lambda: masked(ones())]
)
def test_an_argument_that_wants_care_gets_it(make, keras_calls):
    x = make()
    inner = Inner(name="inner")
    inner.build((2, 3))

    class Caller(keras.layers.Layer):
        def call(self, y):
            return inner(x)

    has_mask = getattr(x, "_keras_mask", None) is not None
    # Keras warns where a layer drops a mask.
    with pytest.warns(UserWarning, match="mask") if has_mask else nullcontext():
        Caller(name="caller")(ones())
    assert keras_calls == ["caller", "inner"]
    assert inner.notes == [(False, "torch.float32", "torch.float32")]


@on_pytorch_alone
def test_a_layer_that_is_not_built_is_built(keras_calls):
    inner = Inner(name="inner")

    class Caller(keras.layers.Layer):
        def call(self, x):
            return inner(x)

    Caller(name="caller")(ones())
    assert inner.built
    assert keras_calls == ["caller", "inner"]


@pytest.mark.parametrize(
    ("of_outer", "of_inner", "found"),
    [
        ({}, {}, False),
        ({"training": True}, {}, True),
        ({"training": False}, {}, False),
        ({"training": True}, {"training": False}, False),
        ({"training": False}, {"training": True}, True),
    ],
)
def test_training_is_handed_down(of_outer, of_inner, found):
    class Caller(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.outer = Outer(Inner())

        def build(self, shape):
            self.outer.build(shape)

        def call(self, x):
            return self.outer(x, **of_inner)

    caller = Caller()
    caller(ones(), **of_outer)
    assert caller.outer.inner.notes[-1][0] is found


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "bfloat16"])
def test_weights_come_in_the_dtype_that_the_layer_computes_in(policy):
    dtype = keras.DTypePolicy(policy)
    outer = Outer(Inner(dtype=dtype), dtype="float32")
    outer(ones(dtype.compute_dtype))
    _, of_input, of_kernel = outer.inner.notes[-1]
    assert dtype.compute_dtype in of_input
    assert dtype.compute_dtype in of_kernel


@on_pytorch_alone
def test_only_tensors_are_taken_by_position():
    class Caller(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.drop_path = DropPath(0.5)

        def call(self, x):
            return self.drop_path(x, True)

    with pytest.raises(ValueError, match="positional arguments"):
        Caller()(ones())


@on_pytorch_alone
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("network", ["resnet_11", "dla_b_20", "dla_l_20", "cbam_20"])
def test_a_network_computes_what_it_computes_when_keras_calls(network, policy, monkeypatch):
    from keras_dla.layers import straight_call_torch

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = get_model(network, classes=3, input_shape=(8, 8, 3), drop_path=0.0)
    finally:
        keras.config.set_dtype_policy(before)
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")
    weights = model.get_weights()
    found = gradients(model, x)
    model.set_weights(weights)
    monkeypatch.setattr(straight_call_torch, "needs_only_call", lambda *arguments: False)
    for one, other in zip(found, gradients(model, x), strict=True):
        np.testing.assert_array_equal(one, other)


def gradients(model, x):
    """Outputs in inference and in training, all gradients, and the statistics afterwards."""
    inferred = model(x, training=False)
    model.zero_grad()
    outputs = model(x, training=True)
    outputs.square().sum().backward()
    of_weights = [weight.value.grad for weight in model.trainable_weights]
    return [
        ops.convert_to_numpy(tensor.detach())
        for tensor in (inferred, outputs, *of_weights, *(w.value for w in model.weights))
    ]
