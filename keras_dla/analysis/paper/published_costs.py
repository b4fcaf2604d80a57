"""The parameter and FLOP columns of the paper's tables, as printed."""

from typing import NamedTuple


class Row(NamedTuple):
    """One row of a table.

    Args:
        label: string, the network's name in the table.
        model: string, its name for `keras_dla.models.get_model`.
        arguments: dictionary, further arguments of `get_model`.
        params: string, the printed millions of parameters.
        flops: string, the printed billions of FLOPs; defaults to `None`, for a table without that
            column.
    """

    label: str
    model: str
    arguments: dict
    params: str
    flops: str | None = None


LABELS = {
    "resnet": "ResNet",
    "se": "SE",
    "eca": "ECA",
    "cbam": "CBAM",
    "a2": "A2",
    "aa": "AA",
    "gc": "all GC",
    "rla_g": "RLA_g",
    "dianet": "DIANet",
    "mrla_b": "MRLA-B",
    "mrla_l": "MRLA-L",
    "dla_b": "DLA-B",
    "dla_l": "DLA-L",
}

# Depth: interaction: millions of parameters with 10 and with 100 classes.
CIFAR = {
    20: {
        "resnet": ("0.22", "0.24"),
        "se": ("0.24", "0.27"),
        "eca": ("0.22", "0.24"),
        "dianet": ("0.44", "0.46"),
        "mrla_b": ("0.23", "0.25"),
        "dla_b": ("0.41", "0.43"),
        "mrla_l": ("0.23", "0.25"),
        "dla_l": ("0.41", "0.43"),
    },
    56: {
        "resnet": ("0.59", "0.61"),
        "se": ("0.66", "0.68"),
        "eca": ("0.59", "0.61"),
        "dianet": ("0.81", "0.83"),
        "mrla_l": ("0.62", "0.65"),
        "dla_l": ("0.80", "0.82"),
    },
    110: {
        "resnet": ("1.15", "1.17"),
        "se": ("1.28", "1.30"),
        "eca": ("1.15", "1.17"),
        "dianet": ("1.37", "1.39"),
        "mrla_l": ("1.21", "1.24"),
        "dla_l": ("1.39", "1.41"),
    },
}

# Depth: interaction: millions of parameters and billions of FLOPs at 224x224.
IMAGENET: dict[int, dict[str, tuple[str, str | None]]] = {
    50: {
        "resnet": ("25.6", "4.1"),
        "se": ("28.1", "4.1"),
        "cbam": ("28.1", "4.2"),
        "a2": ("34.6", "7.0"),
        "aa": ("27.1", "4.5"),
        "gc": ("29.4", "4.2"),
        "eca": ("25.6", "4.1"),
        "dianet": ("28.4", None),
        "rla_g": ("25.9", "4.5"),
        "mrla_l": ("25.7", "4.2"),
        "dla_l": ("27.2", "4.3"),
    },
    101: {
        "resnet": ("44.5", "7.8"),
        "se": ("49.3", "7.8"),
        "cbam": ("49.3", "7.9"),
        "aa": ("47.6", "8.6"),
        "eca": ("44.5", "7.8"),
        "rla_g": ("45.0", "8.4"),
        "mrla_l": ("44.9", "7.9"),
        "dla_l": ("47.8", "8.1"),
    },
}

UNITS = {"rnn": ("Original RNN", "1.41"), "lstm": ("LSTM", "1.93"), "dia": ("DIA", "1.46")}
UNITS["dsu"] = ("DSU", "1.39")

INTEGRATION: dict[int, dict[str | None, str]] = {
    56: {None: "0.61", "lstm": "1.31", "dia": "0.83", "dsu": "0.79"},
    110: {None: "1.17", "lstm": "1.86", "dia": "1.39", "dsu": "1.35"},
}


def rows(table: int) -> list[Row]:
    """Returns the rows of Table 1, 2, 4 or 6."""
    return {1: _table_1, 2: _table_2, 4: _table_4, 6: _table_6}[table]()


def _table_1() -> list[Row]:
    return [
        Row(f"{LABELS[name]}-{depth}, CIFAR-{classes}", f"{name}_{depth}", {"classes": classes}, p)
        for depth, networks in CIFAR.items()
        for name, printed in networks.items()
        for classes, p in zip((10, 100), printed, strict=True)
    ]


def _table_2() -> list[Row]:
    return [
        Row(f"{LABELS[name]}-{depth}", f"{name}_{depth}", {}, params, flops)
        for depth, networks in IMAGENET.items()
        for name, (params, flops) in networks.items()
    ]


def _table_4() -> list[Row]:
    return [
        Row(f"DLA-L-110, {label}", "dla_l_110", {"unit": unit}, params)
        for unit, (label, params) in UNITS.items()
    ]


def _table_6() -> list[Row]:
    return [
        Row(f"ResNet-{depth}", f"resnet_{depth}", {}, params)
        if unit is None
        else Row(f"LII-{depth} ({unit.upper()})", f"dianet_{depth}", {"unit": unit}, params)
        for depth, units in INTEGRATION.items()
        for unit, params in units.items()
    ]
