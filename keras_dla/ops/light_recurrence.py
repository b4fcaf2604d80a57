"""The recurrence of Eq. 3 together with its depthwise convolutions."""

import keras

from keras_dla.ops.channels import per_channel
from keras_dla.ops.depthwise import depthwise_conv3x3
from keras_dla.ops.devices import torch_runs_eagerly
from keras_dla.utils.types import Tensor


def light_recurrence(
    x: Tensor,
    kernel: Tensor,
    gate: Tensor,
    memory: Tensor,
    decay: Tensor,
    excitation: Tensor,
    data_format: str,
) -> Tensor:
    """Returns gate * depthwise(x) + decay * memory, plus depthwise(memory) with an excitation.

    Args:
        x: the layer's features, `[batch, height, width, channels]` or channels first.
        kernel: `[3, 3, channels]`, of f_v.
        gate: `[batch, channels]`, the scores of the layer's own value.
        memory: what the layer remembers of the layers before it, with the shape of `x`.
        decay: `[batch, channels]`, lambda times the scales of a refreshed memory.
        excitation: the kernel of the memory's own convolution, or `None`.
        data_format: `"channels_last"` or `"channels_first"`.
    """
    arguments = x, kernel, gate, memory, decay, excitation, data_format
    if torch_runs_eagerly():
        return light_recurrence_torch.light_recurrence(*arguments)
    return light_recurrence_plain(*arguments)


def light_recurrence_plain(
    x: Tensor,
    kernel: Tensor,
    gate: Tensor,
    memory: Tensor,
    decay: Tensor,
    excitation: Tensor,
    data_format: str,
) -> Tensor:
    """The same recurrence in `keras.ops`, which XLA fuses into a few loops."""
    value = depthwise_conv3x3(x, kernel, data_format)
    output = per_channel(gate, data_format) * value + per_channel(decay, data_format) * memory
    if excitation is None:
        return output
    return output + depthwise_conv3x3(memory, excitation, data_format)


# Last, because some of these read what is above; an import inside a function takes as long as a
# small operation.
if keras.backend.backend() == "torch":
    from keras_dla.ops.torch import light_recurrence as light_recurrence_torch
