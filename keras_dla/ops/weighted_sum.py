"""The sum of Eq. 2: feature maps with a weight per channel."""

import keras

from keras_dla.ops.channels import per_channel
from keras_dla.ops.devices import torch_runs_eagerly
from keras_dla.utils.types import Tensor


def weighted_sum(maps: list, weights: Tensor, data_format: str) -> Tensor:
    """Returns the sum of `maps[m] * weights[:, m]`, channel by channel, and the maps.

    They are summed one by one: stacked maps would be kept for the backward pass again at every
    layer, so that a stage of n layers would cost n**2 maps.

    Args:
        maps: list of n feature maps, `[batch, height, width, channels]` or channels first.
        weights: tensor `[batch, n, channels]` in the maps' dtype.
        data_format: `"channels_last"` or `"channels_first"`.

    Returns:
        The sum, and the maps as the next sum should read them; with these, PyTorch accumulates the
        gradients of a map with less memory traffic.
    """
    if torch_runs_eagerly():
        return weighted_sum_torch.weighted_sum(maps, weights, data_format)
    return weighted_sum_plain(maps, weights, data_format), maps


def weighted_sum_plain(maps: list, weights: Tensor, data_format: str) -> Tensor:
    """The sum in `keras.ops`, which XLA fuses into one loop."""
    first, *others = (
        feature_map * per_channel(weights[:, m], data_format) for m, feature_map in enumerate(maps)
    )
    return sum(others, start=first)


# Last, because some of these read what is above; an import inside a function takes as long as a
# small operation.
if keras.backend.backend() == "torch":
    from keras_dla.ops.torch import weighted_sum as weighted_sum_torch
