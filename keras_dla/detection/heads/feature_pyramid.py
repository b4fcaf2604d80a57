"""The feature pyramid of a detector (FPN; Lin et al., 2017), as in MMDetection."""

import itertools
from typing import Any

import keras
from keras import ops

from keras_dla.layers.base_config import base_config
from keras_dla.layers.core.convolution import Conv2D
from keras_dla.layers.flops import kernel_flops, positions
from keras_dla.ops.channels import channel_axis, spatial_axes
from keras_dla.utils.types import Nest
from keras_dla.utils.validation import (
    check_channels,
    check_positive_integer,
    standardize_data_format,
)


@keras.saving.register_keras_serializable(package="keras_dla")
class FeaturePyramid(keras.layers.Layer):
    """Passes information from a backbone's coarse maps down to its fine ones (FPN).

        M_l = lateral_l(C_l) + upsample(M_{l+1}),  M_L = lateral_L(C_L)
        P_l = output_l(M_l),  P_{L+1} = every second row and column of P_L

    The lateral maps are 1x1 convolutions, the outputs 3x3 convolutions, all with biases and with
    neither normalisation nor activation; the upsampling repeats every cell twice in each direction
    and crops to the size of the finer map. Kernels are initialised Glorot uniform, biases with
    zeros.

    Args:
        channels: integer, the number of channels of every map of the pyramid; defaults to `256`.
        extra_levels: integer of at least 0, the number of additional coarser levels; defaults to
            `1`.
        data_format: `"channels_last"` or `"channels_first"`; Keras's own by default.

    Call arguments:
        maps: list of the backbone's maps, finest first, each half as high and wide as the one
            before, rounded up: `[batch, height, width, channels]` or channels first.

    Returns:
        List of `len(maps) + extra_levels` maps of `channels` channels.

    Raises:
        ValueError: if an argument has a value that is not allowed, or a map does not have half the
            size of the one before.

    Example:
    >>> import numpy as np
    >>> from keras_dla.detection.heads.feature_pyramid import FeaturePyramid
    >>> maps = [np.ones((1, 16 // n, 16 // n, 8 * n), "float32") for n in (1, 2, 4)]
    >>> pyramid = FeaturePyramid(32, data_format="channels_last")
    >>> [tuple(level.shape) for level in pyramid(maps)]
    [(1, 16, 16, 32), (1, 8, 8, 32), (1, 4, 4, 32), (1, 2, 2, 32)]
    """

    def __init__(
        self,
        channels: int = 256,
        extra_levels: int = 1,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        check_positive_integer("channels", channels)
        if isinstance(extra_levels, bool) or not isinstance(extra_levels, int) or extra_levels < 0:
            raise ValueError(
                f"`extra_levels` must be an integer of at least 0, but is {extra_levels!r}."
            )
        super().__init__(**kwargs)
        self.channels = channels
        self.extra_levels = extra_levels
        self.data_format = standardize_data_format(data_format)
        self._spatial = spatial_axes(self.data_format)

    def build(self, input_shape: list) -> None:
        axis = channel_axis(self.data_format)
        if not input_shape or not isinstance(input_shape[0], (list, tuple)):
            raise ValueError(
                f"`maps` must be a list of feature maps, but has the shape {input_shape}."
            )
        for shape in input_shape:
            check_channels("maps", shape, axis)
        for finer, coarser in itertools.pairwise(input_shape):
            self._check_halved(finer, coarser)
        self.laterals = [self._conv("lateral", 1, n) for n in range(len(input_shape))]
        self.outputs = [self._conv("output", 3, n) for n in range(len(input_shape))]
        for lateral, output, shape in zip(self.laterals, self.outputs, input_shape, strict=True):
            lateral.build(tuple(shape))
            output.build(self._with_channels(shape))

    def _check_halved(self, finer, coarser):
        for axis in self._spatial:
            sizes = finer[axis], coarser[axis]
            if None not in sizes and sizes[1] != (sizes[0] + 1) // 2:
                raise ValueError(
                    "`maps` must each be half as high and wide as the one before, rounded up, but "
                    f"{tuple(coarser)} follows {tuple(finer)}."
                )

    def _conv(self, name, kernel_size, level):
        return Conv2D(
            self.channels,
            kernel_size,
            use_bias=True,
            kernel_initializer="glorot_uniform",
            data_format=self.data_format,
            dtype=self.dtype_policy,
            name=f"{name}{level + 1}",
        )

    def _with_channels(self, shape):
        shape = list(shape)
        shape[channel_axis(self.data_format)] = self.channels
        return tuple(shape)

    def call(self, maps: Any) -> Nest:
        merged = [lateral(level) for lateral, level in zip(self.laterals, maps, strict=True)]
        for n in range(len(merged) - 1, 0, -1):
            merged[n - 1] = merged[n - 1] + self._upsample(merged[n], merged[n - 1])
        levels = [output(level) for output, level in zip(self.outputs, merged, strict=True)]
        for _ in range(self.extra_levels):
            levels.append(self._every_second(levels[-1]))
        return levels

    def _upsample(self, x, like):
        """Returns `x` with every cell repeated in both directions, in the size of `like`."""
        for axis in self._spatial:
            shape = list(ops.shape(x))
            shape[axis] = 2 * shape[axis]
            x = ops.reshape(ops.stack([x, x], axis=axis + 1), shape)
        height, width = (ops.shape(like)[axis] for axis in self._spatial)
        if self.data_format == "channels_last":
            return x[:, :height, :width]
        return x[:, :, :height, :width]

    def _every_second(self, x):
        return x[:, ::2, ::2] if self.data_format == "channels_last" else x[:, :, ::2, ::2]

    def compute_output_shape(self, input_shape: tuple) -> Any:
        shapes = [self._with_channels(shape) for shape in input_shape]
        for _ in range(self.extra_levels):
            shape = list(shapes[-1])
            for axis in self._spatial:
                shape[axis] = None if shape[axis] is None else (shape[axis] + 1) // 2
            shapes.append(tuple(shape))
        return shapes

    def flops(self, maps: Any) -> dict[str, int]:
        places = [positions(level, self.data_format) for level in maps]
        return {
            name: sum(
                kernel_flops(convolution.kernel, times=times)
                for convolution, times in zip(convolutions, places, strict=True)
            )
            for name, convolutions in (("laterals", self.laterals), ("outputs", self.outputs))
        }

    def get_config(self) -> dict[str, Any]:
        return {
            **base_config(self),
            "channels": self.channels,
            "extra_levels": self.extra_levels,
            "data_format": self.data_format,
        }
