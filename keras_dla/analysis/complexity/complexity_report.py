"""The parameters and FLOPs of a model, layer by layer, as numbers and as a table."""

from collections.abc import Iterator
from dataclasses import dataclass

from keras_dla.utils.text_table import as_markdown, as_text

HEADER = ("layer", "class", "output", "parameters", "FLOPs")
LEFT = 3


@dataclass(frozen=True)
class LayerComplexity:
    """The parameters and FLOPs of one layer.

    Args:
        name: string, the layer's name, after the names of the models that contain it:
            `"backbone/conv1"`.
        kind: string, the name of its class.
        output_shape: tuple, shape of its (first) output at its last call, without the batch axis.
        params: integer, number of parameters, each counted with the first layer that has it.
        trainable: integer, how many of them are trainable.
        flops: integer, multiply-adds of all its calls per image; `None` if they are not known.
        parts: dictionary, the same by part of the layer.
        calls: integer, how often the model calls it.

    Example:
    >>> from keras_dla.analysis import LayerComplexity
    >>> LayerComplexity("conv", "Conv2D", (8, 8, 4), 108, 108, 6912, {"kernel": 6912}, 1).flops
    6912
    """

    name: str
    kind: str
    output_shape: tuple
    params: int
    trainable: int
    flops: int | None
    parts: dict[str, int]
    calls: int


@dataclass(frozen=True)
class Complexity:
    """The parameters and FLOPs of a model; `str()` of it is a table.

    Args:
        name: string, the model's name.
        input_shape: tuple, shape of one input without the batch axis, or a list of them.
        layers: tuple of `LayerComplexity`, in the order of the layers' first calls.
        params: integer, number of parameters of the model.
        trainable: integer, how many of them are trainable.

    Example:
    >>> from keras_dla.analysis import Complexity
    >>> Complexity("empty", (32, 32, 3), (), params=10, trainable=8).non_trainable
    2
    """

    name: str
    input_shape: tuple | list
    layers: tuple[LayerComplexity, ...]
    params: int
    trainable: int

    @property
    def non_trainable(self) -> int:
        """The number of non-trainable parameters, which are BN's moving statistics."""
        return self.params - self.trainable

    @property
    def flops(self) -> int:
        """Multiply-adds per image, without those of the layers in `uncounted`."""
        return sum(layer.flops or 0 for layer in self.layers)

    @property
    def uncounted(self) -> tuple[str, ...]:
        """Names of the layers whose cost is not known."""
        return tuple(layer.name for layer in self.layers if layer.flops is None)

    def __str__(self) -> str:
        table = as_text(HEADER, list(self._rows()), LEFT)
        return "\n".join([self.title, table, *self._totals()])

    def to_markdown(self) -> str:
        """Returns the same table in Markdown.

        Returns:
            A string.
        """
        table = as_markdown(HEADER, list(self._rows()), LEFT)
        # In Markdown, two spaces at the end of a line break it.
        return "\n".join([f"**{self.title}**", "", table, "", "  \n".join(self._totals())])

    @property
    def title(self) -> str:
        """The model's name and the size of its input."""
        shapes = self.input_shape if isinstance(self.input_shape, list) else [self.input_shape]
        return f"{self.name} on {', '.join(map(_shape, shapes))}"

    def _rows(self) -> Iterator[tuple[str, ...]]:
        for layer in self.layers:
            kind = layer.kind if layer.calls == 1 else f"{layer.kind}, {layer.calls} calls"
            flops = "not counted" if layer.flops is None else f"{layer.flops:,}"
            yield layer.name, kind, _shape(layer.output_shape), f"{layer.params:,}", flops
            if len(layer.parts) > 1:
                for part, cost in layer.parts.items():
                    yield f"- {part}", "", "", "", f"{cost:,}"

    def _totals(self) -> Iterator[str]:
        yield (
            f"{self.params:,} parameters: {self.trainable:,} trainable, {self.non_trainable:,} not"
        )
        least = "at least " * bool(self.uncounted)
        yield f"{least}{self.flops:,} FLOPs (multiply-adds) per image: {_rounded(self.flops)}"
        if self.uncounted:
            yield f"not counted: {', '.join(self.uncounted)}"


def _rounded(flops: int) -> str:
    return f"{flops / 1e9:.2f} G" if flops >= 1e9 else f"{flops / 1e6:.2f} M"


def _shape(shape: tuple) -> str:
    return " x ".join(map(str, shape))
