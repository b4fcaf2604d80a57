"""A training step on PyTorch keeps the feature maps that its backward pass reads, and no others."""

import gc

import keras
import numpy as np
import pytest

from keras_dla.models import ResNet
from tests.models.test_every_network import NAMES

if keras.backend.backend() != "torch":
    pytest.skip("The other backends free memory themselves.", allow_module_level=True)

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

BATCH = 5


def memory_of(tensor):
    return StorageWeakRef(tensor.untyped_storage())


class Maps(TorchDispatchMode):
    """Knows the memory of all feature maps that are made while it is entered."""

    def __init__(self):
        super().__init__()
        self.made = {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        outputs = function(*args, **(kwargs or {}))
        for tensor in torch.utils._pytree.tree_leaves(outputs):
            if isinstance(tensor, torch.Tensor) and is_map(tensor.shape):
                self.made[memory_of(tensor)] = (str(function), tuple(tensor.shape))
        return outputs

    def kept(self):
        return {memory.cdata: made for memory, made in self.made.items() if not memory.expired()}


def is_map(shape):
    return len(shape) == 4 and shape[0] == BATCH and min(shape[1:]) > 1


@pytest.fixture
def no_collector():
    """Python's collector runs at any time, after which nothing shows."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("depth", [(1, 1), (1, 2, 1)])
@pytest.mark.parametrize("name", NAMES)
def test_the_forward_pass_keeps_what_the_backward_pass_reads(no_collector, name, depth):
    planes = (8, 16, 8)[: len(depth)]
    model = ResNet(depth, name, classes=3, planes=planes, data_format="channels_last")
    images = torch.tensor(np.ones((BATCH, 16, 16, 3), "float32"))
    read = set()

    def pack(tensor):
        read.add(memory_of(tensor).cdata)
        return tensor

    with Maps() as maps, torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        outputs = model(images, training=True)
    kept = maps.kept()
    assert len(kept) > 10
    assert [made for memory, made in kept.items() if memory not in read] == []
    outputs.sum().backward()
    del outputs, images
    assert maps.kept() == {}
