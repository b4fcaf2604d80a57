"""Parts of a batch for PyTorch."""

import keras
import pytest

from tests.ops.torch.batch_slices import in_parts

if keras.backend.backend() != "torch":
    pytest.skip("PyTorch takes batches in parts", allow_module_level=True)

import torch

from keras_dla.ops.torch import batch_slices as batch_parts_torch
from keras_dla.ops.torch.batch_slices import batch_parts


@pytest.mark.parametrize(
    ("shape", "parts"),
    [((64, 32, 32, 64), 4), ((64, 16, 16, 128), 2), ((64, 8, 8, 256), 1), ((1, 512, 512, 64), 1)],
)
def test_parts_are_of_four_megabytes_or_one_image(shape, parts):
    maps = torch.rand(shape)
    slices = batch_parts(maps)
    assert len(slices) == parts
    assert torch.equal(torch.cat([maps[part] for part in slices]), maps)
    sizes = {maps[part].numel() * 4 for part in slices}
    assert max(sizes) <= max(batch_parts_torch.BYTES, maps[0].numel() * 4)


def test_an_empty_batch_is_one_part():
    (part,) = batch_parts(torch.empty(0, 4, 4, 8))
    assert part.start == 0


def test_an_exported_graph_and_other_devices_take_the_batch_whole():
    with in_parts(True):
        assert len(batch_parts(torch.empty(3, 4, 4, 8))) == 3
        assert len(batch_parts(torch.empty(3, 4, 4, 8, device="meta"))) == 1

        class Parts(torch.nn.Module):
            def forward(self, x):
                return sum(x[part].sum() for part in batch_parts(x))

        graph = torch.export.export(Parts(), (torch.ones(3, 4, 4, 8),)).graph
    assert sum(node.op == "call_function" and "sum" in node.name for node in graph.nodes) == 1
