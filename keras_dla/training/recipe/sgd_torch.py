"""The optimizer step for all weights at once, with PyTorch's multi-tensor operations."""

from keras_dla.utils.types import Tensor


def foreach_sgd_step(
    weights: list[Tensor],
    gradients: list[Tensor],
    velocities: list[Tensor],
    *,
    learning_rate: Tensor,
    momentum: float,
    nesterov: bool,
    weight_decay: float,
) -> None:
    """Updates many PyTorch tensors by one step of `keras_dla.training.SGD`, in place.

    One operation per weight takes about five times as long as these operations on lists (700 small
    weights on a CPU: 43 instead of 8 ms per step), and on a graphics card it would delay the step.
    The gradients are not changed.

    Args:
        weights: list of tensors to update.
        gradients: list of tensors, one per weight.
        velocities: list of tensors, one per weight, or an empty list without momentum.
        learning_rate: scalar tensor.
        momentum: float.
        nesterov: boolean.
        weight_decay: float, the factor of the penalty for all of `weights`.
    """
    import torch

    with torch.no_grad():
        steps = gradients
        if weight_decay:
            steps = torch._foreach_add(gradients, weights, alpha=weight_decay)
        if velocities:
            torch._foreach_mul_(velocities, momentum)
            torch._foreach_add_(velocities, steps)
            if nesterov:
                steps = torch._foreach_add(steps, velocities, alpha=momentum)
            else:
                steps = velocities
        # The learning rate stays a tensor, because reading its value would make the host wait for
        # the device.
        torch._foreach_sub_(weights, torch._foreach_mul(steps, learning_rate))
