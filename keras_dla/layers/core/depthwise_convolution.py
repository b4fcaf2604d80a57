"""Depthwise 3x3 convolution, f_v of Eq. 1."""

import keras

from keras_dla.layers.initializers import he_normal_depthwise
from keras_dla.layers.straight_call import StraightCall
from keras_dla.ops.channels import channel_axis
from keras_dla.ops.depthwise import depthwise_conv3x3


class DepthwiseConv3x3(StraightCall, keras.layers.Layer):
    """Convolves every channel with a 3x3 kernel of its own; zero-padded, no bias."""

    def __init__(self, data_format: str, **kwargs):
        super().__init__(**kwargs)
        self.data_format = data_format

    def build(self, input_shape):
        channels = input_shape[channel_axis(self.data_format)]
        self.kernel = self.add_weight(
            name="kernel", shape=(3, 3, channels), initializer=he_normal_depthwise(channels)
        )

    def call(self, inputs):
        return depthwise_conv3x3(inputs, self.kernel, self.data_format)

    def compute_output_shape(self, input_shape):
        return input_shape
