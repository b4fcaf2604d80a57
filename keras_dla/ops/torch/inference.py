"""Convolutions fused with what follows them, for PyTorch when no gradient is needed.

In inference, BN is one multiply-add per channel: its factors go into the kernel, and the rest
becomes the convolution's bias.
"""

from typing import Any

import torch

from keras_dla.utils.types import Tensor

# PyTorch's documentation does not promise these.
ONEDNN: Any = getattr(torch, "mkldnn_convolution", None)
MODES: Any = getattr(torch._C, "_len_torch_dispatch_stack", lambda: 1)
# The multiplications from which it pays: `benchmarks/small_convolutions.py`.
ONEDNN_PAYS = 1_500_000


def conv(
    x: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    strides: tuple[int, int],
    other: Tensor | None,
    rectified: bool,
    data_format: str,
) -> Any:
    """Returns ReLU(convolution of x + `other`) as a new map; `other` and the ReLU are optional.

    Args:
        x: `[batch, height, width, channels]` or channels first.
        kernel: `[height, width, channels, filters]`, odd-sized.
        bias: `[filters]`, or `None`.
        strides: tuple of two integers.
        other: a map to add, or `None`.
        rectified: boolean, whether a ReLU comes last.
        data_format: `"channels_last"` or `"channels_first"`.
    """
    # Written out, because for one image every function costs as much as a small operation.
    if data_format == "channels_last":
        x = x.permute(0, 3, 1, 2)
    height, width = kernel.shape[:2]
    padding = (height - 1) // 2, (width - 1) // 2
    kernel = kernel.permute(3, 2, 0, 1)
    if data_format == "channels_last" and _onednn_pays(x, kernel):
        outputs = ONEDNN(x, kernel, bias, padding, strides, (1, 1), 1)
    else:
        outputs = torch.conv2d(x, kernel, bias, strides, padding)
    if data_format == "channels_last":
        outputs = outputs.permute(0, 2, 3, 1)
    if other is not None:
        outputs.add_(other)
    return outputs.relu_() if rectified else outputs


def _onednn_pays(x, kernel) -> bool:
    """Whether to call oneDNN oneself: PyTorch, with one thread, does not for a few images.

    Its own convolution then takes up to twice as long, except for small maps and channels first.
    """
    multiplications = x.numel() * kernel.numel() // x.shape[1]
    if multiplications < ONEDNN_PAYS or not x.is_cpu or x.dtype is not torch.float32:
        return False
    # A kind of tensor of its own may not know it, nor a mode, such as PyTorch's counter of FLOPs.
    if ONEDNN is None or not type(x) is type(kernel) is torch.Tensor or MODES():
        return False
    return torch.backends.mkldnn.is_available() and bool(torch.backends.mkldnn.enabled)


def fold_norms(
    kernels: list, means: list, variances: list, gammas: list, betas: list, epsilons: list
) -> list[tuple[Tensor, Tensor]]:
    """See `keras_dla.ops.batch_norm.fold_norms`."""
    sizes = [len(beta) for beta in betas]
    # All channels in one vector, because a network has many BN of few channels.
    mean, variance, gamma, beta = map(torch.cat, (means, variances, gammas, betas))
    scale = gamma / (variance + _of_channels(epsilons, sizes, variance)).sqrt_()
    bias = torch.addcmul(beta, mean, scale, value=-1)
    folded = torch._foreach_mul(kernels, scale.split(sizes))
    return list(zip(folded, bias.split(sizes), strict=True))


def _of_channels(epsilons, sizes, like) -> Any:
    """Returns what to add to the variance of every channel: a number if it is the same for all."""
    if len(set(epsilons)) == 1:
        return epsilons[0]
    counts = torch.tensor(sizes, device=like.device)
    return torch.repeat_interleave(like.new_tensor(epsilons), counts)
