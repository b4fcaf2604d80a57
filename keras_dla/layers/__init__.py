"""Layers for interaction between network layers: one idea per file, any backend and data format."""

import keras_dla.utils.needs_keras as _needs_keras  # noqa: F401
from keras_dla.layers.block_attention.attention_augmented_convolution import (
    AttentionAugmentedConvolution,
)
from keras_dla.layers.block_attention.block_attention import BlockAttention, BlockPlace
from keras_dla.layers.block_attention.bridge_attention import BridgeAttention
from keras_dla.layers.block_attention.convolutional_block_attention import (
    ConvolutionalBlockAttention,
)
from keras_dla.layers.block_attention.double_attention import DoubleAttention
from keras_dla.layers.block_attention.efficient_channel_attention import EfficientChannelAttention
from keras_dla.layers.block_attention.global_context import GlobalContext
from keras_dla.layers.block_attention.non_local import NonLocal
from keras_dla.layers.block_attention.squeeze_excitation import SqueezeExcitation
from keras_dla.layers.core.batch_normalization import BatchNormalization
from keras_dla.layers.core.convolution import Conv2D
from keras_dla.layers.core.drop_path import DropPath
from keras_dla.layers.interaction.dynamic_layer_attention import DynamicLayerAttention
from keras_dla.layers.interaction.layer_interaction import LayerInteraction
from keras_dla.layers.interaction.layerwise_information_integration import (
    LayerwiseInformationIntegration,
)
from keras_dla.layers.interaction.mrla_base import MRLABase
from keras_dla.layers.interaction.mrla_light import MRLALight
from keras_dla.layers.interaction.old_names import BaseLayerAttention as _OldName  # noqa: F401
from keras_dla.layers.interaction.recurrent_layer_aggregation import RecurrentLayerAggregation
from keras_dla.layers.registry import register_interaction
from keras_dla.layers.units.dia_unit import DIAUnit
from keras_dla.layers.units.dynamic_sharing_unit import DynamicSharingUnit
from keras_dla.layers.units.lstm_unit import LSTMUnit
from keras_dla.layers.units.rnn_unit import RNNUnit
from keras_dla.utils.deprecated_names import deprecated_names

__all__ = [
    "AttentionAugmentedConvolution",
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
    "MRLABase",
    "MRLALight",
    "NonLocal",
    "RNNUnit",
    "RecurrentLayerAggregation",
    "SqueezeExcitation",
    "register_interaction",
]

__getattr__ = deprecated_names(
    __name__, {"BaseLayerAttention": "MRLABase", "LightLayerAttention": "MRLALight"}
)
