"""Layers of layer interaction: one idea a file, any backend, either data format."""

from keras_dla.layers.base_layer_attention import BaseLayerAttention
from keras_dla.layers.batch_normalization import BatchNormalization
from keras_dla.layers.convolution import Conv2D
from keras_dla.layers.dia_unit import DIAUnit
from keras_dla.layers.drop_path import DropPath
from keras_dla.layers.dynamic_layer_attention import DynamicLayerAttention
from keras_dla.layers.dynamic_sharing_unit import DynamicSharingUnit
from keras_dla.layers.efficient_channel_attention import EfficientChannelAttention
from keras_dla.layers.layer_interaction import LayerInteraction
from keras_dla.layers.layerwise_information_integration import LayerwiseInformationIntegration
from keras_dla.layers.light_layer_attention import LightLayerAttention
from keras_dla.layers.lstm_unit import LSTMUnit
from keras_dla.layers.rnn_unit import RNNUnit
from keras_dla.layers.squeeze_excitation import SqueezeExcitation

__all__ = [
    "BaseLayerAttention",
    "BatchNormalization",
    "Conv2D",
    "DIAUnit",
    "DropPath",
    "DynamicLayerAttention",
    "DynamicSharingUnit",
    "EfficientChannelAttention",
    "LSTMUnit",
    "LayerInteraction",
    "LayerwiseInformationIntegration",
    "LightLayerAttention",
    "RNNUnit",
    "SqueezeExcitation",
]
