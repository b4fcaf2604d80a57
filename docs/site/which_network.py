"""Prints the table of `docs/which-network.md`: what each network costs and reaches.

    KERAS_BACKEND=torch python docs/site/which_network.py

Times and memory are those that `benchmarks/networks.py` printed into `docs/results/`.
"""

import json
import re
from pathlib import Path

from keras_dla.analysis import complexity
from keras_dla.analysis.paper.published_accuracy import published_accuracy
from keras_dla.models import get_model
from keras_dla.models.trained_weights import shipped_weights

RESULTS = Path(__file__).resolve().parents[1] / "results"
MEASURED = RESULTS / "networks-20.txt"
NUMBER = r"([\d.]+)"
ROW = re.compile(
    rf"^\| torch \| (\w+) \| {' .. '.join([NUMBER] * 5)} \|".replace(" .. ", r" \| "), re.MULTILINE
)
MISSING = "not yet"
NETWORKS = {
    "resnet": "plain ResNet",
    "dla_l": "DLA-L",
    "dla_b": "DLA-B",
    "mrla_l": "MRLA-L",
    "mrla_b": "MRLA-B",
    "dianet": "DIANet (LII)",
    "rla_g": "RLA_g",
    "se": "SE",
    "eca": "ECA",
    "cbam": "CBAM",
    "gc": "GC",
    "ba": "BA",
    "nl": "NL",
    "a2": "A²",
    "aa": "AA",
}
HEAD = (
    "| network | word | parameters | M FLOPs | training step | inference | peak GB | paper (%) |"
    " ours (%) | weights |",
    "|---|---|---:|---:|---:|---:|---:|---:|---|---|",
)  # fmt: skip


def row(word: str, label: str, measured: dict[str, tuple[str, ...]]) -> str:
    """Returns the row of one network of depth 20 with 100 classes."""
    cost = complexity(get_model(f"{word}_20", classes=100), (32, 32, 3))
    seconds, train, seconds_to_infer, infer, memory = measured[word]
    times = [f"x {train}", f"x {infer}"]
    if word == "resnet":
        times = [f"{float(seconds):.2f} s", f"{float(seconds_to_infer):.2f} s"]
    published = published_accuracy(f"{word}_20", "cifar100") or "not in it"
    cells = (
        label, f"`{word}`" if word != "resnet" else "`None`", f"{cost.trainable:,}",
        f"{cost.flops / 1e6:.1f}", *times, memory, published, ours(word),
        shipped(word),
    )  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


def ours(word: str) -> str:
    """Returns what our runs with CIFAR-100 reached, and after how many epochs."""
    found = []
    for settings in RESULTS.glob(f"*/cifar100-{word}_20-official-*/settings.json"):
        rows = (settings.parent / "log.csv").read_text("utf-8").split()
        accuracy = rows[-1].split(",")[rows[0].split(",").index("val_accuracy")]
        epochs = json.loads(settings.read_text("utf-8"))["epochs"]
        found.append(f"{float(accuracy):.1%} after {epochs} epochs".replace("%", ""))
    return ", ".join(sorted(found)) or MISSING


def shipped(word: str) -> str:
    """Returns for which data sets weights come with the package."""
    cards = shipped_weights().values()
    return ", ".join(f"`{card.dataset}`" for card in cards if card.title == f"{word}_20") or MISSING


def main() -> None:
    measured = {}
    for word, *figures in ROW.findall(MEASURED.read_text("utf-8")):
        measured.setdefault(word, tuple(figures))
    print(*HEAD, *(row(word, label, measured) for word, label in NETWORKS.items()), sep="\n")


if __name__ == "__main__":
    main()
