"""Everything that can be chosen by name, listed here so that no backend is needed for it."""

# The three formulations; see `keras_dla.layers.DynamicLayerAttention`.
FORMULATIONS = ("official", "paper", "verbatim")
# The recurrent units of Tables 4 to 6; those of Table 5 are the DSU with other normalisers.
UNITS = ("dsu", "dsu_tanh", "dsu_relu", "dsu_identity", "dia", "lstm", "rnn")
# The paper's comparison; `@register_interaction` gives each name to its class.
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
CIFAR_CLASSES = {"cifar10": 10, "cifar100": 100}
CIFAR_DEPTHS = (20, 56, 110, 164)
# Blocks of each stage.
IMAGENET_DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}

PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")
# The source of an experiment's images: arrays, arrays on the device, tf.data.
SOURCES = ("memory", "device", "tfds")
# The formats that `keras_dla.interop.export_model` writes, and their file endings.
EXPORT_SUFFIXES = {"onnx": ".onnx", "tf_saved_model": "", "litert": ".tflite", "torch": ".pt2"}
# The paper's tables with parameters and FLOPs, and those with networks trained on CIFAR.
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
