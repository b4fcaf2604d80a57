"""The weighted sum of feature maps for PyTorch, without a temporary map for every term."""

import torch


class WeightedSum(torch.autograd.Function):
    """Keeps the maps and the weights for the backward pass, and no product of them."""

    @staticmethod
    def forward(ctx, spatial_axes, rest, weights, *maps):
        ctx.spatial_axes = spatial_axes
        ctx.save_for_backward(weights, *maps)
        ctx.has_rest = rest is not None
        # Unbound before it is sliced: torch.export cannot write the unbinding of an empty tensor.
        weight, *weights = weights.unbind()
        if ctx.has_rest:
            # Not in place: the rest is a view of what a convolution returned, and the derivative
            # of a view that was overwritten copies whole maps three times.
            total = torch.addcmul(rest, maps[0], weight)
        else:
            total = maps[0] * weight
        for feature_map, weight in zip(maps[1:], weights, strict=True):
            total.addcmul_(feature_map, weight)
        return total

    @staticmethod
    def backward(ctx, gradient):
        weights, *maps = ctx.saved_tensors
        product = torch.empty_like(gradient)
        of_weights = torch.stack(
            [
                torch.mul(gradient, feature_map, out=product).sum(ctx.spatial_axes, keepdim=True)
                for feature_map in maps
            ]
        )
        of_rest = gradient if ctx.has_rest else None
        return None, of_rest, of_weights, *(gradient * weight for weight in weights)


def weighted_sum(maps, weights, data_format, rest=None):
    """See `keras_dla.layers.weighted_sum.weighted_sum`."""
    # A map's worth of arithmetic needs a weight for every map: [n, batch, 1, 1, channels].
    axes = (1, 2) if data_format == "channels_last" else (2, 3)
    weights = weights.movedim(1, 0)
    for axis in axes:
        weights = weights.unsqueeze(axis + 1)
    return WeightedSum.apply(axes, rest, weights, *maps)
