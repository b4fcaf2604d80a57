"""What may be asked for by name: plain words, which need no backend to be listed."""

# Eq. 1-9 in three readings; see `keras_dla.layers.DynamicLayerAttention`.
FORMULATIONS = ("official", "paper", "verbatim")
# The recurrent units of Tables 4 to 6; those of Table 5 are the DSU with another normaliser.
UNITS = ("dsu", "dsu_tanh", "dsu_relu", "dsu_identity", "dia", "lstm", "rnn")
# The paper's comparison; each name stands beside its class in `@register_interaction`.
INTERACTIONS = (
    "a2",
    "aa",
    "ba",
    "cbam",
    "dianet",
    "dla_b",
    "dla_l",
    "eca",
    "gc",
    "mrla_b",
    "mrla_l",
    "nl",
    "rla_g",
    "se",
)
# The network without an interaction.
PLAIN = "resnet"
CIFAR_DEPTHS = (20, 56, 110, 164)
# Blocks of each stage.
IMAGENET_DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}

PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")
# Where an experiment's images come from: arrays, arrays on the device, tf.data.
SOURCES = ("memory", "device", "tfds")
# The formats that `keras_dla.interop.export_model` writes, and how their files end.
EXPORT_SUFFIXES = {"onnx": ".onnx", "tf_saved_model": "", "litert": ".tflite", "torch": ".pt2"}
# The paper's tables of parameters and FLOPs, and those whose networks train on CIFAR.
COUNTED_TABLES = (1, 2, 4, 6)
TRAINED_TABLES = (1, 4, 5, 6)


def network_names() -> list[str]:
    """Returns the names of the networks of the paper's tables, by interaction and depth.

    Example:
    >>> network_names()[:3], len(network_names())
    (['resnet_20', 'resnet_56', 'resnet_110'], 105)
    """
    return [
        f"{interaction}_{depth}"
        for interaction in (PLAIN, *INTERACTIONS)
        for depth in (*CIFAR_DEPTHS, *IMAGENET_DEPTHS)
    ]
