"""PyTorch's compiler takes every network as one graph, with the numbers of eager mode."""

import warnings

import keras
import numpy as np
import pytest

from keras_dla.models import ResNet
from tests.backends import THOROUGH
from tests.layers.stages import randomize
from tests.models.test_every_network import NAMES, WITHIN_A_BLOCK, images

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="the compiler of PyTorch"
)


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
FEW = [(None, "imagenet", False), ("dla_b", "cifar", True), ("dla_l", "cifar", False)]
ALL = [(name, *case) for name in NAMES for case in (("imagenet", False), ("cifar", True))]


@pytest.mark.parametrize(("name", "stem", "was_called"), ALL if THOROUGH else FEW)
def test_one_graph(name, stem, was_called):
    """Of a model that was called before and of one that was not; without a warning."""
    import torch

    torch._dynamo.reset()
    x = torch.tensor(images(2, 16, 16))
    # The graph is read and differentiated as in any compilation; no machine code is written.
    model = network(name, stem)
    if was_called:
        model(x, training=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Dynamo detected")
        found = step(model, torch.compile(model, fullgraph=True, backend="aot_eager"), x)
    model = network(name, stem)
    for one, other in zip(found, step(model, model, x), strict=True):
        scale = max(np.abs(array).max() for array in other)
        for mine, theirs in zip(one, other, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-5 * scale)
