"""The weighted sum of feature maps for PyTorch, with few passes through memory."""

from typing import Any

import torch

from keras_dla.ops.channels import spatial_axes
from keras_dla.ops.torch.batch_slices import batch_parts
from keras_dla.ops.torch.hand_written import HandWritten
from keras_dla.utils.types import Tensor


class WeightedSum(HandWritten):
    """The weighted sum; keeps the maps and weights for the backward pass, but not their products.

    The maps are also outputs. The gradient of a map, to which every sum that reads the map
    contributes, is then accumulated from sum to sum instead of being added up from as many separate
    maps.
    """

    @staticmethod
    def forward(weights: Tensor, *maps: Any) -> Any:
        # Unbound before it is sliced, because torch.export cannot write the unbinding of an empty
        # tensor.
        weight, *weights = weights.unbind()
        total = torch.empty_like(maps[0])
        for part in batch_parts(total):
            torch.mul(maps[0][part], weight[part], out=total[part])
            for feature_map, other in zip(maps[1:], weights, strict=True):
                total[part].addcmul_(feature_map[part], other[part])
        return total, *_views(maps)

    @staticmethod
    def plain(weights: Tensor, *maps: Any) -> Any:
        total = sum(one * weight for one, weight in zip(maps, weights.unbind(), strict=True))
        return total, *_views(maps)

    @staticmethod
    def tangent(inputs: Any, tangents: Any) -> Any:
        (weights, *maps), (of_weights, *of_maps) = inputs, tangents
        by_weights, by_maps = (
            WeightedSum.plain(*pair)[0] for pair in ((of_weights, *maps), (weights, *of_maps))
        )
        return by_weights + by_maps, *_views(of_maps)

    @staticmethod
    def fast_backward(inputs: Any, gradient: Tensor, *later: Any) -> Any:
        weights, *maps = inputs
        if gradient is None:
            return None, *later
        # With one channel, its axis is taken for a spatial one, which gives the same sum.
        axes = [axis for axis in (1, 2, 3) if weights.shape[axis + 1] == 1]
        of_weights = torch.empty_like(weights)
        of_maps = [torch.empty_like(feature_map) for feature_map in maps]
        for part in batch_parts(gradient):
            own = gradient[part]
            product = torch.empty_like(own)
            for m, feature_map in enumerate(maps):
                torch.mul(own, feature_map[part], out=product)
                torch.sum(product, axes, keepdim=True, out=of_weights[m][part])
                if later[m] is None:
                    torch.mul(own, weights[m][part], out=of_maps[m][part])
                else:
                    torch.addcmul(later[m][part], own, weights[m][part], out=of_maps[m][part])
        return of_weights, *of_maps


def _views(maps):
    return [feature_map.view_as(feature_map) for feature_map in maps]


def weighted_sum(maps: Any, weights: Tensor, data_format: str) -> Tensor:
    """See `keras_dla.ops.weighted_sum.weighted_sum`."""
    # Shaped to multiply maps: [n, batch, 1, 1, channels].
    weights = weights.movedim(1, 0)
    for axis in spatial_axes(data_format):
        weights = weights.unsqueeze(axis + 1)
    total, *maps = WeightedSum.run(weights, *maps)
    return total, maps
