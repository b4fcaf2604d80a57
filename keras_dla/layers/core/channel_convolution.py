"""One-dimensional convolution along the channels: f_q and f_k of Eq. 1, and ECA's only weight."""

import keras

from keras_dla.layers.initializers import torch_uniform
from keras_dla.layers.straight_call import StraightCall
from keras_dla.ops.channel_convolution import adaptive_kernel_size, convolve_channels


class ChannelConv1D(StraightCall, keras.layers.Layer):
    """Maps pooled features `[batch, channels]` to `[batch, channels]` with one shared kernel."""

    def build(self, input_shape):
        size = adaptive_kernel_size(input_shape[-1])
        # Read by DLA-B too, in mixed precision, where it is to stay in float32.
        self.kernel = self.add_weight(
            name="kernel", shape=(size,), initializer=torch_uniform(size), autocast=False
        )

    def call(self, inputs):
        return convolve_channels(inputs, self.kernel)

    def compute_output_shape(self, input_shape):
        return input_shape
