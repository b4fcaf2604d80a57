"""Local pooling for PyTorch, with a size that its exporter can follow."""

import torch

from keras_dla.ops.torch.layout import as_it_was, channels_first
from keras_dla.utils.types import Tensor


def average_halved(x: Tensor, data_format: str) -> Tensor:
    """See `keras_dla.ops.pooling.average_halved`.

    Keras's own pads a map of odd size first, which `torch.export` would do at every size or never.
    """
    x = channels_first(x, data_format)
    halved = torch.nn.functional.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)
    return as_it_was(halved, data_format)
