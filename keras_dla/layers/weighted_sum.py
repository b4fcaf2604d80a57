"""The sum of Eq. 2: feature maps, each channel weighted."""

import keras

from keras_dla.layers.channels import per_channel


def weighted_sum(maps: list, weights, data_format: str, rest=None):
    """Returns the sum of `maps[m] * weights[:, m]`, channel by channel, and of `rest`.

    Summed one by one: stacked maps would be kept for the backward pass at every layer again,
    which makes a stage of n layers cost n**2 maps.

    Args:
        maps: list of n feature maps, `[batch, height, width, channels]` or channels first.
        weights: tensor `[batch, n, channels]` in the maps' dtype.
        data_format: `"channels_last"` or `"channels_first"`.
        rest: optional map that is added as it is.
    """
    if keras.backend.backend() == "torch":
        from keras_dla.layers import weighted_sum_torch

        return weighted_sum_torch.weighted_sum(maps, weights, data_format, rest)
    return weighted_sum_plain(maps, weights, data_format, rest)


def weighted_sum_plain(maps: list, weights, data_format: str, rest=None):
    """The same in `keras.ops`, which XLA fuses into one loop."""
    terms = (
        feature_map * per_channel(weights[:, m], data_format) for m, feature_map in enumerate(maps)
    )
    return sum(terms, start=0 if rest is None else rest)
