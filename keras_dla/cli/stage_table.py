"""The parameters and FLOPs of each stage of a network."""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from keras_dla.analysis import Complexity, LayerComplexity

HEADER = ("part", "", "output", "parameters", "trainable", "FLOPs")
LEFT = 3
PART = re.compile(r"(?:^|/)(stem|stage\d+)_(?!.*/)")
BLOCK = re.compile(r"_(block\d+)_")
INTERACTION = re.compile(r"_(interaction|attention)$")


class Costs(NamedTuple):
    """Sums over several layers.

    Args:
        params: integer, number of parameters.
        trainable: integer, how many of them are trainable, the number that the paper prints.
        flops: integer, multiply-adds per image, without those of layers whose cost is not known.
        all_known: boolean, whether the cost of every layer is known.
    """

    params: int
    trainable: int
    flops: int
    all_known: bool


def has_stages(counts: "Complexity") -> bool:
    """Returns whether the layers are named as `keras_dla.models` names them."""
    return any(_own_part(layer) not in (None, "stem") for layer in counts.layers)


def stage_rows(counts: "Complexity") -> list[tuple[str, ...]]:
    """Returns the rows of the table: stem, stages and head, each followed by its interaction."""
    return [row for part, layers in _parts(counts.layers).items() for row in _rows(part, layers)]


def _parts(layers: Sequence["LayerComplexity"]) -> dict[str, list["LayerComplexity"]]:
    """Groups the layers; one without a part's name belongs to the part before it, or to the head
    if no named one follows.
    """
    named = [number for number, layer in enumerate(layers) if _own_part(layer)]
    part = "stem"
    parts: dict[str, list[LayerComplexity]] = {}
    for number, layer in enumerate(layers):
        part = _own_part(layer) or ("head" if number > named[-1] else part)
        parts.setdefault(part, []).append(layer)
    return parts


def _own_part(layer: "LayerComplexity") -> str | None:
    found = PART.search(layer.name)
    return found[1] if found else None


def _rows(part: str, layers: Sequence["LayerComplexity"]) -> Iterator[tuple[str, ...]]:
    blocks = {found[1] for found in map(BLOCK.search, (layer.name for layer in layers)) if found}
    shape = " x ".join(map(str, layers[-1].output_shape))
    yield part, _blocks(len(blocks)), shape, *_cells(_sum(layers))
    inside = [layer for layer in layers if INTERACTION.search(layer.name)]
    if inside:
        kinds = ", ".join(dict.fromkeys(layer.kind for layer in inside))
        yield "", f"of which {kinds}", "", *_cells(_sum(inside))


def _blocks(number: int) -> str:
    return "" if number == 0 else "1 block" if number == 1 else f"{number} blocks"


def _sum(layers: Sequence["LayerComplexity"]) -> Costs:
    return Costs(
        sum(layer.params for layer in layers),
        sum(layer.trainable for layer in layers),
        sum(layer.flops or 0 for layer in layers),
        all(layer.flops is not None for layer in layers),
    )


def _cells(costs: Costs) -> tuple[str, str, str]:
    least = "" if costs.all_known else "at least "
    return f"{costs.params:,}", f"{costs.trainable:,}", f"{least}{costs.flops:,}"


def totals(counts: "Complexity") -> list[str]:
    """Returns the lines below the table."""
    least = "at least " if counts.uncounted else ""
    lines = [
        f"{counts.params:,} parameters: {counts.trainable:,} trainable "
        f"({counts.trainable / 1e6:.2f} M), {counts.non_trainable:,} not",
        f"{least}{counts.flops:,} FLOPs (multiply-adds) per image ({counts.flops / 1e9:.3f} G)",
    ]
    if counts.uncounted:
        lines.append(f"not counted: {', '.join(counts.uncounted)}")
    return lines
