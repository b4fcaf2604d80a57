"""Initial values with which an interaction has no effect until it is trained."""

from functools import singledispatch

import keras

from keras_dla.layers.block_attention.bridge_attention import BridgeAttention
from keras_dla.layers.block_attention.convolutional_block_attention import (
    ConvolutionalBlockAttention,
)
from keras_dla.layers.block_attention.double_attention import DoubleAttention
from keras_dla.layers.block_attention.efficient_channel_attention import EfficientChannelAttention
from keras_dla.layers.block_attention.global_context import GlobalContext
from keras_dla.layers.block_attention.non_local import NonLocal
from keras_dla.layers.block_attention.squeeze_excitation import SqueezeExcitation
from keras_dla.layers.interaction.dynamic_layer_attention import DynamicLayerAttention
from keras_dla.layers.interaction.layer_attention import LayerAttention
from keras_dla.layers.interaction.layerwise_information_integration import (
    LayerwiseInformationIntegration,
)
from keras_dla.layers.interaction.recurrent_layer_aggregation import RecurrentLayerAggregation
from keras_dla.layers.units.dia_unit import DIAUnit
from keras_dla.layers.units.dynamic_sharing_unit import DynamicSharingUnit

# Zero would let no gradient pass back through the ReLU; this number vanishes in the sum.
ABOVE_ZERO = 1e-7


@singledispatch
def start_neutral(layer: keras.layers.Layer) -> float:
    """Sets the weights of a built interaction so that it only scales a residual branch.

    The factor is 1 if the layer then has no effect; a gate starts as a constant, which the BN
    before it can compensate. Gradients reach the layer.

    - MRLA, DLA: the gammas after the attention are 0; in the base versions, whose ReLU would let no
      gradient through at 0, the betas are 1e-7.
    - GC, NL, A2: their usual initial values, with which they add 0.
    - SE, ECA, BA: the weights before the sigmoid are 0, so the gate is 1/2; CBAM has two gates,
      which give 1/4.
    - LII: the gates of the unit are 0, so its output is 1/4 (DIA) or 1/2 (DSU).
    - RLA_g: the convolutions and the classifier that read the hidden map have weights of 0 for it,
      which the code that loads them must set.
    - AA replaces a convolution, and LII with another unit has no constant output: they have no
      neutral start.

    A layer of your own offers a neutral start by a method `start_neutral()` that does the same.

    Args:
        layer: a built layer, one stage's interaction or one block's attention.

    Returns:
        A float, the factor by which the layer now scales its input.

    Raises:
        ValueError: when the layer has no neutral start.
    """
    own = getattr(layer, "start_neutral", None)
    if own is None:
        raise ValueError(
            f"{type(layer).__name__} has no neutral start, with which it would have no effect: "
            f"start='initial' keeps its own initial values."
        )
    return float(own())


def set_to(value: float, *variables: keras.Variable) -> None:
    """Fills variables with one number."""
    for variable in variables:
        variable.assign(keras.ops.full(variable.shape, value, variable.dtype))


@start_neutral.register
def _(layer: LayerAttention) -> float:
    for norm in layer.norms:
        set_to(0.0, norm.gamma)
        set_to(ABOVE_ZERO if layer.rectify else 0.0, norm.beta)
    return 1.0


@start_neutral.register
def _(layer: DynamicLayerAttention) -> float:
    return start_neutral(layer.attention)


@start_neutral.register
def _(layer: RecurrentLayerAggregation) -> float:
    return 1.0


@start_neutral.register
def _(layer: LayerwiseInformationIntegration) -> float:
    unit = layer.unit
    if isinstance(unit, DIAUnit):
        factor = 0.25
    elif isinstance(unit, DynamicSharingUnit) and (
        unit.formulation != "paper" and unit.normalizer == "sigmoid"
    ):
        factor = 0.5
    else:
        raise ValueError(
            f"LII with the unit {type(unit).__name__} has no neutral start, with which its "
            "output would be constant: start='initial' keeps its own initial values."
        )
    for gates in (unit.input_gates, unit.hidden_gates):
        set_to(0.0, gates.expand_kernel, gates.expand_bias)
    return factor


@start_neutral.register
def _(layer: SqueezeExcitation) -> float:
    set_to(0.0, layer.expand_kernel)
    return 0.5


@start_neutral.register
def _(layer: EfficientChannelAttention) -> float:
    set_to(0.0, layer.kernel)
    return 0.5


@start_neutral.register
def _(layer: BridgeAttention) -> float:
    set_to(0.0, layer.kernel)
    return 0.5


@start_neutral.register
def _(layer: ConvolutionalBlockAttention) -> float:
    set_to(0.0, layer.expand_kernel, layer.expand_bias, layer.norm.gamma, layer.norm.beta)
    return 0.25


@start_neutral.register
def _(layer: GlobalContext) -> float:
    set_to(0.0, layer.expand_kernel, layer.expand_bias)
    return 1.0


@start_neutral.register(DoubleAttention)
@start_neutral.register(NonLocal)
def _(layer) -> float:
    set_to(0.0, layer.norm.gamma, layer.norm.beta)
    return 1.0
