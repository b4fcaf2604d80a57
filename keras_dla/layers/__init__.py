"""Layers of layer interaction: one idea a file, any backend, either data format."""

from keras_dla.layers.attention_augmented_convolution import AttentionAugmentedConvolution
from keras_dla.layers.base_layer_attention import BaseLayerAttention
from keras_dla.layers.batch_normalization import BatchNormalization
from keras_dla.layers.block_attention import BlockAttention, BlockPlace
from keras_dla.layers.bridge_attention import BridgeAttention
from keras_dla.layers.convolution import Conv2D
from keras_dla.layers.convolutional_block_attention import ConvolutionalBlockAttention
from keras_dla.layers.dia_unit import DIAUnit
from keras_dla.layers.double_attention import DoubleAttention
from keras_dla.layers.drop_path import DropPath
from keras_dla.layers.dynamic_layer_attention import DynamicLayerAttention
from keras_dla.layers.dynamic_sharing_unit import DynamicSharingUnit
from keras_dla.layers.efficient_channel_attention import EfficientChannelAttention
from keras_dla.layers.global_context import GlobalContext
from keras_dla.layers.layer_interaction import LayerInteraction
from keras_dla.layers.layerwise_information_integration import LayerwiseInformationIntegration
from keras_dla.layers.light_layer_attention import LightLayerAttention
from keras_dla.layers.lstm_unit import LSTMUnit
from keras_dla.layers.non_local import NonLocal
from keras_dla.layers.recurrent_layer_aggregation import RecurrentLayerAggregation
from keras_dla.layers.rnn_unit import RNNUnit
from keras_dla.layers.squeeze_excitation import SqueezeExcitation

__all__ = [
    "AttentionAugmentedConvolution",
    "BaseLayerAttention",
    "BatchNormalization",
    "BlockAttention",
    "BlockPlace",
    "BridgeAttention",
    "Conv2D",
    "ConvolutionalBlockAttention",
    "DIAUnit",
    "DoubleAttention",
    "DropPath",
    "DynamicLayerAttention",
    "DynamicSharingUnit",
    "EfficientChannelAttention",
    "GlobalContext",
    "LSTMUnit",
    "LayerInteraction",
    "LayerwiseInformationIntegration",
    "LightLayerAttention",
    "NonLocal",
    "RNNUnit",
    "RecurrentLayerAggregation",
    "SqueezeExcitation",
]
