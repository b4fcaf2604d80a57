"""Bridge attention, BA-Net (Zhao et al., 2022)."""

from typing import Any

import keras
from keras import ops

from keras_dla.layers.block_attention.block_attention import BlockAttention
from keras_dla.layers.core.batch_normalization import BatchNormalization
from keras_dla.layers.flops import kernel_flops
from keras_dla.layers.registry import register_interaction
from keras_dla.ops.channels import channel_axis, global_average_pool, per_channel
from keras_dla.ops.products import matmul
from keras_dla.utils.types import Tensor
from keras_dla.utils.validation import check_channels, check_positive_integer, check_reduction


@keras.saving.register_keras_serializable(package="keras_dla")
@register_interaction("ba")
class BridgeAttention(BlockAttention):
    """Gates a block's branch by the pooled features of all its convolutions (BA).

        x_n <- x_n * sigmoid(W ReLU(sum over i of BN_i(W_i GAP(x_i)))),  i = 1, ..., n
        W_i: C_i -> C_n/r, W: C_n/r -> C_n, no biases

    As in the authors' code, the maps of a bottleneck block are those after its first two
    activations and the one after its last BN, before the activation, which is gated. BN normalises
    over the batch: each channel has one number per image.

    Args:
        reduction: integer, r; at most the number of channels of the last map; defaults to 16.
        data_format: string, `"channels_last"` or `"channels_first"`; defaults to Keras's own.

    Call arguments:
        inputs: list of maps `[batch, height, width, channels]` or channels first, of any sizes and
            numbers of channels; the last one is gated.
        training: boolean, whether the BNs normalise with the batch's statistics; defaults
            to `None`, as Keras decides.

    Returns:
        A tensor of the last map's shape.

    Raises:
        ValueError: when `reduction` is not positive or exceeds the number of channels, or `inputs`
            is not a list.

    Reference:
        https://arxiv.org/abs/2112.04150

    Example:
    >>> import numpy as np
    >>> from keras_dla.layers import BridgeAttention
    >>> first, last = np.ones((2, 8, 8, 16), "float32"), np.ones((2, 4, 4, 64), "float32")
    >>> attention = BridgeAttention(reduction=16, data_format="channels_last")
    >>> tuple(attention([first, last]).shape)
    (2, 4, 4, 64)
    """

    position = "bridge"

    def __init__(self, reduction: int = 16, data_format: str | None = None, **kwargs: Any):
        check_positive_integer("reduction", reduction)
        super().__init__(data_format, **kwargs)
        self.reduction = reduction

    def build(self, input_shape: list) -> None:
        _check_list(input_shape)
        axis = channel_axis(self.data_format)
        channels = [check_channels("inputs", shape, axis) for shape in input_shape]
        check_reduction(self.reduction, channels[-1])
        hidden = channels[-1] // self.reduction
        self.bridges = [
            self.add_kernel(f"bridge{number + 1}_kernel", count, hidden)
            for number, count in enumerate(channels)
        ]
        self.norms = [self._norm(f"norm{number + 1}", hidden) for number in range(len(channels))]
        self.kernel = self.add_kernel("kernel", hidden, channels[-1])

    def _norm(self, name, channels):
        # Pooled features are normalised as maps of one position.
        norm = BatchNormalization("channels_last", dtype=self.variable_dtype, name=name)
        norm.build((None, 1, 1, channels))
        return norm

    def call(self, inputs: list[Tensor], training: bool | None = None) -> Tensor:
        fusion = sum(
            norm(self._reduced(x, kernel), training=training)
            for x, kernel, norm in zip(inputs, self.bridges, self.norms, strict=True)
        )
        hidden = ops.squeeze(ops.relu(fusion), (1, 2))
        gate = ops.sigmoid(matmul(hidden, self.kernel))
        return ops.cast(inputs[-1], self.compute_dtype) * self.per_channel(gate)

    def _reduced(self, x, kernel):
        """Returns W_i GAP(x_i) as a map of one position, `[batch, 1, 1, hidden]`."""
        y = global_average_pool(x, self.data_format)
        return per_channel(matmul(y, kernel), "channels_last")

    def compute_output_shape(self, input_shape: list) -> tuple:
        return tuple(input_shape[-1])

    def flops(self, inputs: list[Tensor]) -> dict[str, int]:
        return {"gate": kernel_flops(*self.bridges, self.kernel)}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "reduction": self.reduction}


def _check_list(shapes):
    if not shapes or not isinstance(shapes[0], (list, tuple)):
        raise ValueError(
            f"`inputs` must be a list of batches of feature maps, but has shape {tuple(shapes)}."
        )
