"""The residual blocks of ResNet, up to but not including the addition."""

from typing import Any

from keras import layers

from keras_dla.layers.block_attention.block_attention import position_of
from keras_dla.layers.core.batch_normalization import BatchNormalization
from keras_dla.layers.core.convolution import Conv2D
from keras_dla.ops.channels import channel_axis
from keras_dla.utils.types import Tensor


def batch_norm(x: Tensor, data_format: str, name: str, gamma: str = "ones") -> Tensor:
    """BN whose gamma is initialised with ones or zeros."""
    return BatchNormalization(data_format, gamma_initializer=gamma, name=name)(x)


def conv_bn(
    x: Tensor,
    filters: int,
    kernel_size: int,
    strides: int,
    data_format: str,
    name: str,
    number: int,
) -> Tensor:
    """Convolution and BN, named as in the authors' checkpoints: conv1, bn1, ..."""
    x = Conv2D(filters, kernel_size, strides, data_format=data_format, name=f"{name}_conv{number}")(
        x
    )
    return batch_norm(x, data_format, f"{name}_bn{number}")


def bottleneck(
    x: Tensor,
    branch_input: Tensor,
    planes: int,
    strides: int,
    data_format: str,
    name: str,
    last_gamma: str,
    attention: Any = None,
) -> tuple[Tensor, Tensor]:
    """The bottleneck block: 1x1, 3x3 and 1x1 convolutions with `4 * planes` channels at the end.

    Args:
        x: the block's input, which the shortcut carries.
        branch_input: what the residual branch reads, usually `x`.
        planes: channels of the first two convolutions.
        strides: stride of the 3x3 convolution and of the projection shortcut.
        data_format: `"channels_last"` or `"channels_first"`.
        name: prefix of the layers' names.
        last_gamma: initial gamma of the last BN, `"zeros"` in the ImageNet networks.
        attention: optional layer, called where its `position` says (see `BlockAttention`); on the
            branch if it has none.

    Returns:
        The residual branch and the shortcut, which the caller adds.
    """
    shortcut = _shortcut(x, 4 * planes, strides, data_format, name)
    where = position_of(attention)
    x = conv_bn(branch_input, planes, 1, 1, data_format, name, 1)
    x = first = layers.ReLU(name=f"{name}_relu1")(x)
    if where == "convolution":
        x = batch_norm(attention(x), data_format, f"{name}_bn2")
    else:
        x = conv_bn(x, planes, 3, strides, data_format, name, 2)
    x = second = layers.ReLU(name=f"{name}_relu2")(x)
    x = Conv2D(4 * planes, 1, data_format=data_format, name=f"{name}_conv3")(x)
    x = batch_norm(x, data_format, f"{name}_bn3", last_gamma)
    if where == "branch":
        x = attention(x)
    elif where == "bridge":
        x = attention([first, second, x])
    return x, shortcut


def _shortcut(x, outputs, strides, data_format, name):
    if strides == 1 and x.shape[channel_axis(data_format)] == outputs:
        return x
    x = Conv2D(outputs, 1, strides, data_format=data_format, name=f"{name}_downsample_conv")(x)
    return batch_norm(x, data_format, f"{name}_downsample_bn")
