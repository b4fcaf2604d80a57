"""What `benchmarks/launches.py` counts, on operations that are known."""

import importlib.util
import sys
from pathlib import Path

import keras
import pytest

if keras.backend.backend() != "torch":
    pytest.skip("counts the operations of PyTorch", allow_module_level=True)

import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def launches():
    spec = importlib.util.spec_from_file_location("launches", BENCHMARKS / "launches.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
        spec.loader.exec_module(module)
    return module


def test_views_and_allocations_are_no_launches(launches):
    x, kernel = torch.ones(4, 3), torch.ones(3, 2, requires_grad=True)

    def step():
        kernel.grad = None
        (x @ kernel).relu().reshape(2, 4).t().sum().backward()

    # Forward and backward; the product has a gradient by the kernel alone.
    names = ["mm", "relu", "sum", "ones_like", "threshold_backward", "mm"]
    assert sorted(launches.dispatched(step).elements()) == sorted(names)
    # On a CPU a ReLU is a maximum, and sums and ones begin by filling.
    found = {name: count for name, count in launches.profiled(step).items() if name != "fill_"}
    assert found == {"mm": 2, "clamp_min": 1, "threshold_backward": 1}


@pytest.mark.parametrize(
    ("network", "inference", "training"),
    [("resnet", 59, 151), ("dla_l", 278, 787), ("dla_b", 233, 646)],
)
def test_networks_launch_no_more_than_the_page_says(launches, network, inference, training):
    """The authors' launch 71 and 172, 374 and 1,120, 371 and 1,084."""
    images = torch.ones(4, 32, 32, 3)
    found = launches.count(launches.ours(network, 20), images, compiled=False)
    assert int(found[0]) <= inference
    assert int(found[1]) <= training


def test_kernels_of_compiled_code_are_counted(launches):
    code = """
def call(self, args):
    extern_kernels.addmm(a, b, c, out=buf0)
    cpp_fused_relu_0(buf0, buf1)
    buf2 = torch.ops.aten.convolution.default(x, y)
    triton_poi_fused_1.run(buf2, stream=0)
"""
    assert len(launches.FUSED.findall(code)) == 2
    assert len(launches.LIBRARY.findall(code)) == 2
