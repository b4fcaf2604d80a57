"""PyTorch's compiler takes every network as one graph, with the numbers of eager mode."""

import warnings
from itertools import product

import keras
import numpy as np
import pytest

from keras_dla.models import ResNet
from tests.backends import THOROUGH
from tests.layers.stages import randomize
from tests.models.test_every_network import NAMES, WITHIN_A_BLOCK, images
from tests.models.test_golden_float64 import in_float64

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="the compiler of PyTorch"
)


STEMS = "cifar", "imagenet"
# The compiler reads every layer's call for seconds, so there are few layers.
DEPTHS = {"a2": (1, 2), "nl": (1, 2)}


def network(name, stem="cifar"):
    """One stage where that shows the network whole, with two blocks where they talk."""
    depth = DEPTHS.get(name, (1,) if name in WITHIN_A_BLOCK else (2,))
    keras.utils.set_random_seed(0)
    model = ResNet(
        depth, name, classes=3, stem=stem, planes=(8,) * len(depth),
        classifier_activation=None, data_format="channels_last",
    )  # fmt: skip
    return randomize(model)


def step(model, run, x):
    """Returns the outputs, gradients and moving statistics of a training step by `run`."""
    model.zero_grad()
    outputs = run(x, training=True)
    outputs.square().mean().backward()
    of_weights = [weight.value.grad for weight in model.trainable_weights]
    moved = [weight.value for weight in model.non_trainable_weights]
    parts = [outputs.detach()], of_weights, moved
    return [[t.clone().numpy() for t in part if t is not None] for part in parts]


# The compiler reads a network for half a minute: three of them show most, all run with --thorough.
FEW = [
    (None, "imagenet", False, "aot_eager"),
    ("dla_b", "cifar", True, "aot_eager"),
    ("dla_l", "cifar", False, "aot_eager"),
]
ALL = [
    *((name, *case) for name in NAMES for case in product(STEMS, (False, True), ("aot_eager",))),
    *((name, "imagenet", False, "inductor") for name in ("dla_l", "dla_b", "rla_g", "cbam")),
]
on_networks = pytest.mark.parametrize(
    ("name", "stem", "was_called", "compiler"), ALL if THOROUGH else FEW
)


def compiled(model, was_called, compiler, x):
    """Compiles a model that was called before, or one that was not.

    "aot_eager" reads and differentiates the graph as in any compilation, but writes no machine
    code.
    """
    import torch

    torch._dynamo.reset()
    if was_called:
        model(x, training=False)
    return torch.compile(model, fullgraph=True, backend=compiler)


@on_networks
def test_one_graph(name, stem, was_called, compiler):
    """Outputs, gradients and statistics of a training step; without a warning."""
    import torch

    x = torch.tensor(images(2, 16, 16))
    model = network(name, stem)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Dynamo detected")
        found = step(model, compiled(model, was_called, compiler, x), x)
    model = network(name, stem)
    expected = step(model, model, x)
    for one, other, tolerance in zip(found, expected, (1e-6, 1e-5, 1e-6), strict=True):
        scale = max(np.abs(array).max() for array in other)
        for mine, theirs in zip(one, other, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=tolerance * scale)


@on_networks
def test_one_graph_for_inference(name, stem, was_called, compiler):
    """As near to float64 as eager mode, which folds BN into the kernels, or within 1e-6 of it.

    The two round differently, which changes large outputs by more than 1e-6.
    """
    import torch

    x = torch.tensor(images(2, 16, 16))
    model = network(name, stem)
    with torch.no_grad():
        found = compiled(model, was_called, compiler, x)(x, training=False)
        eager = model(x, training=False)
        with in_float64():
            exact = network(name, stem)(x.double(), training=False)
    assert exact.dtype == torch.float64
    mine, theirs = ((outputs - exact).abs().max() / exact.abs().max() for outputs in (found, eager))
    assert mine <= max(theirs, 1e-6)
