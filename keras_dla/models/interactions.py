"""The ways of interaction of the paper's tables by name."""

import keras

from keras_dla.layers import (
    AttentionAugmentedConvolution,
    BridgeAttention,
    ConvolutionalBlockAttention,
    DoubleAttention,
    DynamicLayerAttention,
    EfficientChannelAttention,
    GlobalContext,
    LayerwiseInformationIntegration,
    MRLABase,
    MRLALight,
    NonLocal,
    RecurrentLayerAggregation,
    SqueezeExcitation,
)

INTERACTIONS = (
    "se",
    "eca",
    "cbam",
    "a2",
    "aa",
    "gc",
    "nl",
    "ba",
    "rla_g",
    "dianet",
    "mrla_b",
    "mrla_l",
    "dla_b",
    "dla_l",
)
WITH_UNIT = ("dianet", "dla_b", "dla_l")


def default_reduction(interaction: object, stem: str) -> int:
    """Returns r of the recurrent unit as the interaction's authors set it."""
    if stem == "cifar":
        return 4
    return 20 if interaction == "dianet" else 16


def check_unit(unit: object, interaction: object) -> None:
    """Raises `ValueError` for a `unit` that `interaction` would not use."""
    if unit is not None and interaction not in WITH_UNIT:
        raise ValueError(
            f"`unit` must be None unless `interaction` is one of "
            f"{', '.join(map(repr, WITH_UNIT))}, but is {unit!r} with {interaction!r}."
        )


def make_interaction(
    name: str,
    reduction: int,
    drop_path: float,
    formulation: str,
    data_format: str,
    unit: "str | keras.layers.Layer | None" = None,
) -> keras.layers.Layer:
    """Returns the layer that a builder copies for each stage or block.

    Args:
        name: one of `INTERACTIONS`.
        reduction: integer, r of the recurrent units.
        drop_path: float, rate of the layer attentions.
        formulation: `"official"`, `"paper"` or `"verbatim"`.
        data_format: `"channels_last"` or `"channels_first"`.
        unit: the recurrent unit of DIANet (then LII) and DLA; by default their own.

    Raises:
        ValueError: if `unit` is given to an interaction without one.
    """
    check_unit(unit, name)
    attention = {"drop_path": drop_path, "formulation": formulation, "data_format": data_format}
    dynamic = {"unit": unit or "dsu", "reduction": reduction, **attention}
    makers = {
        "se": lambda: SqueezeExcitation(reduction=16, data_format=data_format),
        "eca": lambda: EfficientChannelAttention(data_format=data_format),
        "cbam": lambda: ConvolutionalBlockAttention(reduction=16, data_format=data_format),
        "a2": lambda: DoubleAttention(data_format=data_format),
        "aa": lambda: AttentionAugmentedConvolution(64, data_format=data_format),
        "gc": lambda: GlobalContext(reduction=16, data_format=data_format),
        "nl": lambda: NonLocal(data_format=data_format),
        "ba": lambda: BridgeAttention(reduction=16, data_format=data_format),
        "rla_g": lambda: RecurrentLayerAggregation(
            1, formulation=formulation, data_format=data_format
        ),
        "dianet": lambda: LayerwiseInformationIntegration(
            1, unit or "dia", reduction, formulation, data_format
        ),
        "mrla_b": lambda: MRLABase(1, **attention),
        "mrla_l": lambda: MRLALight(1, **attention),
        "dla_b": lambda: DynamicLayerAttention(1, "base", **dynamic),
        "dla_l": lambda: DynamicLayerAttention(1, "light", **dynamic),
    }
    return makers[name]()
