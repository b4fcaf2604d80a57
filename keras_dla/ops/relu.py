"""ReLUs and sums of feature maps that save memory when PyTorch runs operation by operation."""

import keras
from keras import ops

from keras_dla.ops.devices import torch_only_infers, torch_runs_eagerly
from keras_dla.utils.types import Tensor


def relu_of_sum(x: Tensor, y: Tensor) -> Tensor:
    """Returns ReLU(x + y)."""
    total = x + y
    # In place, which is only cheap because the sum is a new map: differentiating through a view
    # that was overwritten, such as a transposed map, copies whole maps.
    return total.relu_() if torch_runs_eagerly() else ops.relu(total)


def add_to_new(x: Tensor, new: Tensor) -> Tensor:
    """Returns x + new, where nothing else reads the map `new`: in place if there is no gradient."""
    return new.add_(x) if torch_only_infers() else x + new


def rectify(x: Tensor) -> Tensor:
    """Returns ReLU(x) of a map that nothing else reads; the backward pass needs only its signs."""
    if torch_runs_eagerly():
        return relu_torch.rectify(x)
    return ops.relu(x)


# Last, because some of these read what is above; an import inside a function takes as long as a
# small operation.
if keras.backend.backend() == "torch":
    from keras_dla.ops.torch import relu as relu_torch
