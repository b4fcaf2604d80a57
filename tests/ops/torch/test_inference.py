"""A convolution fused with what follows it, by whichever of PyTorch's ways."""

import keras
import pytest

if keras.backend.backend() != "torch":
    pytest.skip("PyTorch's own form", allow_module_level=True)

import torch
from torch.utils.flop_counter import FlopCounterMode

from keras_dla.ops.torch import inference

SMALL, LARGE = (2, 6, 6, 4), (1, 32, 32, 16)  # of the second, oneDNN is faster


@pytest.fixture
def calls(monkeypatch):
    """Lists the maps that went to oneDNN."""
    found, own = [], inference.ONEDNN

    def onednn(x, *others):
        found.append(x)
        return own(x, *others)

    monkeypatch.setattr(inference, "ONEDNN", own and onednn)
    return found


def conv(x, size, strides, data_format):
    """Returns what is found and, in float64 by PyTorch's plain functions, what is expected."""
    torch.manual_seed(0)
    kernel, bias = torch.randn(size, size, x.shape[-1], 16, dtype=x.dtype), torch.randn(16).to(x)
    fine = x.permute(0, 3, 1, 2).double(), kernel.permute(3, 2, 0, 1).double(), bias.double()
    expected = torch.conv2d(*fine, strides, size // 2)
    other = torch.randn(expected.shape).to(x)
    expected = torch.relu(expected + other.double()).permute(0, 2, 3, 1)
    if data_format == "channels_last":
        other = other.permute(0, 2, 3, 1)
    else:
        x = x.permute(0, 3, 1, 2)
    found = inference.conv(x, kernel, bias, strides, other, True, data_format)
    return found if data_format == "channels_last" else found.permute(0, 2, 3, 1), expected


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("shape", [SMALL, LARGE, (0, 6, 6, 4)])
@pytest.mark.parametrize(("size", "strides"), [(3, (1, 1)), (1, (2, 2)), (5, (2, 1))])
def test_is_convolution_sum_and_relu(shape, size, strides, data_format):
    for dtype in ("float32", "float64"):
        found, expected = conv(
            torch.randn(shape, dtype=getattr(torch, dtype)), size, strides, data_format
        )
        torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=2e-5)


def test_onednn_where_it_is_faster(calls):
    conv(torch.randn(LARGE), 3, (1, 1), "channels_last")
    assert len(calls) == torch.backends.mkldnn.is_available()
    conv(torch.randn(SMALL), 3, (1, 1), "channels_last")
    conv(torch.randn(LARGE), 3, (1, 1), "channels_first")
    conv(torch.randn(LARGE).double(), 3, (1, 1), "channels_last")
    assert len(calls) <= 1


@pytest.mark.filterwarnings("ignore:TF32 acceleration")
def test_onednn_that_is_switched_off_or_missing(calls, monkeypatch):
    x = torch.randn(LARGE)
    with torch.backends.mkldnn.flags(enabled=False):
        found, expected = conv(x, 3, (1, 1), "channels_last")
    assert not calls
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=2e-5)
    monkeypatch.setattr(inference, "ONEDNN", None)
    found, expected = conv(x, 3, (1, 1), "channels_last")
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=2e-5)


def test_flops_are_counted():
    x, kernel = torch.randn(LARGE), torch.randn(3, 3, 16, 16)
    with FlopCounterMode(display=False) as counter:
        inference.conv(x, kernel, None, (1, 1), None, False, "channels_last")
    assert counter.get_total_flops() == 2 * x.numel() * kernel.numel() // 16
