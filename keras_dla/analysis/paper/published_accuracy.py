"""The accuracy columns of the paper's Tables 1, 4, 5 and 6, as printed."""

from typing import NamedTuple, TypeAlias

from keras_dla.analysis.paper.published_costs import LABELS


class Accuracy(NamedTuple):
    """A printed test accuracy: mean and standard deviation over runs, in percent.

    Args:
        mean: string, such as `"72.26"`.
        deviation: string, such as `"0.29"`.
        table: integer, the table that prints it.
    """

    mean: str
    deviation: str
    table: int

    def __str__(self) -> str:
        return f"{self.mean} ± {self.deviation}"


Printed: TypeAlias = tuple[str, str]

DATASETS = ("cifar10", "cifar100")

# Table 1. Depth: interaction: mean and deviation with CIFAR-10 and with CIFAR-100.
CIFAR = {
    20: {
        "resnet": (("91.64", "0.18"), ("67.30", "0.28")),
        "se": (("91.29", "0.24"), ("68.93", "0.35")),
        "eca": (("91.63", "0.16"), ("67.23", "0.24")),
        "dianet": (("91.43", "0.14"), ("67.67", "0.22")),
        "mrla_b": (("92.15", "0.23"), ("71.44", "0.49")),
        "dla_b": (("92.47", "0.10"), ("72.01", "0.37")),
        "mrla_l": (("92.65", "0.08"), ("71.46", "0.27")),
        "dla_l": (("92.96", "0.18"), ("72.26", "0.29")),
    },
    56: {
        "resnet": (("92.95", "0.18"), ("72.32", "0.36")),
        "se": (("93.60", "0.18"), ("73.51", "0.28")),
        "eca": (("93.72", "0.14"), ("72.63", "0.35")),
        "dianet": (("93.88", "0.21"), ("73.87", "0.27")),
        "mrla_l": (("94.28", "0.26"), ("74.18", "0.17")),
        "dla_l": (("94.55", "0.13"), ("75.46", "0.26")),
    },
    110: {
        "resnet": (("93.04", "0.33"), ("73.00", "0.36")),
        "se": (("94.09", "0.11"), ("75.01", "0.20")),
        "eca": (("93.76", "0.31"), ("73.97", "0.36")),
        "dianet": (("94.48", "0.08"), ("75.31", "0.16")),
        "mrla_l": (("94.49", "0.31"), ("75.16", "0.24")),
        "dla_l": (("94.66", "0.23"), ("76.41", "0.36")),
    },
}

# Table 4: the units of DLA-L-110, CIFAR-100.
UNITS = {
    "rnn": ("73.65", "0.23"),
    "lstm": ("75.32", "0.34"),
    "dia": ("75.60", "0.36"),
    "dsu": ("76.41", "0.36"),
}

# Table 5: the function with which the DSU of DLA-L normalises its old state, CIFAR-100.
ACTIVATIONS = {
    56: {
        "identity": ("74.63", "0.14"),
        "tanh": ("74.88", "0.21"),
        "relu": ("74.95", "0.40"),
        "sigmoid": ("75.46", "0.26"),
    },
    110: {
        "identity": ("75.37", "0.38"),
        "tanh": ("75.67", "0.20"),
        "relu": ("75.99", "0.29"),
        "sigmoid": ("76.41", "0.36"),
    },
}

# Table 6: layer-wise information integration, CIFAR-100; without a unit, the plain ResNet.
INTEGRATION: dict[int, dict[str | None, Printed]] = {
    56: {
        None: ("72.32", "0.36"),
        "lstm": ("69.28", "0.44"),
        "dia": ("73.87", "0.27"),
        "dsu": ("74.23", "0.22"),
    },
    110: {
        None: ("73.00", "0.36"),
        "lstm": ("71.31", "0.33"),
        "dia": ("75.31", "0.16"),
        "dsu": ("75.14", "0.21"),
    },
}

# The networks' default units.
OWN_UNITS = {"dla_b": "dsu", "dla_l": "dsu", "dianet": "dia"}


def published_accuracy(model: str, dataset: str, unit: str | None = None) -> Accuracy | None:
    """Returns the accuracy that the paper prints for a network on CIFAR, if any.

    Args:
        model: string, the network, such as `"dla_l_56"`.
        dataset: string, `"cifar10"` or `"cifar100"`.
        unit: string, its recurrent unit; defaults to `None`, its own.

    Returns:
        An `Accuracy`, or `None` if the paper prints none.

    Example:
    >>> print(published_accuracy("dla_l_56", "cifar100"))
    75.46 ± 0.26
    >>> published_accuracy("dla_l_110", "cifar100", unit="lstm").table
    4
    """
    interaction, _, digits = model.rpartition("_")
    depth = int(digits) if digits.isdigit() else 0
    if unit is None or unit == OWN_UNITS.get(interaction):
        return _of_table_1(depth, interaction, dataset)
    if dataset != "cifar100":
        return None
    if interaction == "dla_l" and unit.startswith("dsu_"):
        printed = ACTIVATIONS.get(depth, {}).get(unit.removeprefix("dsu_"))
        return _accuracy(printed, table=5)
    if (interaction, depth) == ("dla_l", 110):
        return _accuracy(UNITS.get(unit), table=4)
    if interaction == "dianet":
        return _accuracy(INTEGRATION.get(depth, {}).get(unit), table=6)
    return None


def _of_table_1(depth: int, interaction: str, dataset: str) -> Accuracy | None:
    of_both = CIFAR.get(depth, {}).get(interaction)
    if of_both is None or dataset not in DATASETS:
        return None
    return _accuracy(of_both[DATASETS.index(dataset)], table=1)


def _accuracy(printed: Printed | None, table: int) -> Accuracy | None:
    return None if printed is None else Accuracy(printed[0], printed[1], table)


def label(model: str, unit: str | None = None) -> str:
    """Returns a network's name as in the tables.

    Example:
    >>> label("dla_l_110", "lstm"), label("dla_l_56", "dsu_tanh"), label("nl_20")
    ('DLA-L-110 (LSTM)', 'DLA-L-56 (DSU tanh)', 'NL-20')
    """
    interaction, _, depth = model.rpartition("_")
    name = f"{LABELS.get(interaction, interaction.upper())}-{depth}" if interaction else model
    kind, _, normalizer = (unit or "").partition("_")
    return f"{name} ({f'{kind.upper()} {normalizer}'.strip()})" if kind else name
