"""The weighted sum of feature maps for PyTorch, with few passes through memory."""

from typing import Any

import torch
from torch.autograd.function import once_differentiable

from keras_dla.ops.channels import spatial_axes
from keras_dla.ops.torch.batch_slices import batch_parts
from keras_dla.utils.types import Tensor


class WeightedSum(torch.autograd.Function):
    """Keeps the maps and the weights for the backward pass, and no product of them.

    The maps are handed on as outputs, so that the gradient of a map, which comes from every sum
    that it is in, passes from sum to sum and grows there, where it would else be added up of as
    many maps.
    """

    @staticmethod
    def forward(ctx: Any, spatial_axes: tuple[int, ...], weights: Tensor, *maps: Any) -> Any:
        ctx.spatial_axes = spatial_axes
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(weights, *maps)
        # Unbound before it is sliced: torch.export cannot write the unbinding of an empty tensor.
        weight, *weights = weights.unbind()
        total = torch.empty_like(maps[0])
        for part in batch_parts(total):
            torch.mul(maps[0][part], weight[part], out=total[part])
            for feature_map, other in zip(maps[1:], weights, strict=True):
                total[part].addcmul_(feature_map[part], other[part])
        return total, *maps

    # Differentiated again it would be wrong without a word; PyTorch refuses it now.
    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *later: Any) -> Any:
        weights, *maps = ctx.saved_tensors
        if gradient is None:
            return None, None, *later
        of_weights = torch.empty_like(weights)
        of_maps = [torch.empty_like(feature_map) for feature_map in maps]
        for part in batch_parts(gradient):
            own = gradient[part]
            product = torch.empty_like(own)
            for m, feature_map in enumerate(maps):
                torch.mul(own, feature_map[part], out=product)
                torch.sum(product, ctx.spatial_axes, keepdim=True, out=of_weights[m][part])
                if later[m] is None:
                    torch.mul(own, weights[m][part], out=of_maps[m][part])
                else:
                    torch.addcmul(later[m][part], own, weights[m][part], out=of_maps[m][part])
        return None, of_weights, *of_maps


def weighted_sum(maps: Any, weights: Tensor, data_format: str) -> Tensor:
    """See `keras_dla.ops.weighted_sum.weighted_sum`."""
    # A map's worth of arithmetic needs a weight for every map: [n, batch, 1, 1, channels].
    axes = spatial_axes(data_format)
    weights = weights.movedim(1, 0)
    for axis in axes:
        weights = weights.unsqueeze(axis + 1)
    total, *maps = WeightedSum.apply(axes, weights, *maps)
    return total, maps
