"""The attention scores between the layers of each stage, as in Figure 2 of the paper."""

from collections.abc import Mapping

import keras
import numpy as np

from keras_dla.analysis.stages import LayerReport, measure_stages


class AttentionScores(dict[str, np.ndarray]):
    """The attention scores of every stage, with notes that a plot of them must mention.

    A dictionary from the name of each attention layer, in the order of the stages, to an array
    `[batch, heads, layers, layers]`. A row is a query layer, a column a key layer, which the query
    layer reads; the entries above the diagonal are zero.

    Args:
        scores: dictionary, name of the stage to scores.
        weights: dictionary, name of the stage to the scores times the accumulated scales of the
            layers' values; defaults to `None`, the scores themselves.
        approximate: iterable of strings, the stages whose scores are an approximation, because
            their layers read a shortcut instead of a running map; defaults to none.

    Example:
    >>> import numpy as np
    >>> from keras_dla.analysis import AttentionScores
    >>> AttentionScores({"stage": np.ones((1, 1, 1, 1))}, approximate=["stage"]).approximate
    frozenset({'stage'})
    """

    def __init__(
        self,
        scores: Mapping[str, np.ndarray],
        weights: Mapping[str, np.ndarray] | None = None,
        approximate: "frozenset[str] | list[str]" = frozenset(),
    ):
        super().__init__(scores)
        self.weights = dict(self if weights is None else weights)
        self.approximate = frozenset(approximate)

    @property
    def refreshed(self) -> frozenset[str]:
        """The stages whose weights differ from the scores."""
        return frozenset(n for n in self if not np.array_equal(self[n], self.weights[n]))

    @classmethod
    def joined(cls, parts: "list[AttentionScores]") -> "AttentionScores":
        """Joins the scores of several batches of images.

        Args:
            parts: list of `AttentionScores` of one model.

        Returns:
            An `AttentionScores`.
        """
        scores, weights = (
            {name: np.concatenate([part[name] for part in arrays]) for name in arrays[0]}
            for arrays in (parts, [part.weights for part in parts])
        )
        return cls(scores, weights, parts[0].approximate)


def attention_scores(
    model: keras.Model, images: np.ndarray, batch_size: int = 32
) -> AttentionScores:
    """Returns how much every layer of a stage reads from each layer up to itself.

    The model is run unchanged, one batch after the other; it may be loaded from a file, or be your
    own functional or subclassed model that calls this package's layers.

    For the base versions (MRLA-B, DLA-B) the scores are the softmax of Eq. 2, and a row sums to 1.
    In DLA-B the values are also scaled: `weights` of the result contains the scores times these
    scales, averaged over the channels of a head, which is how much of a key layer's own values the
    query layer gets.

    For the light versions (MRLA-L, DLA-L) the scores are the weights of the recurrence of Eq. 3,
    unrolled as if it were an attention over all layers:

        score[l, l] = gate^l
        score[l, m] = gate^m * product of (lambda^j * d^j) over j = m+1..l,      m < l

    with d = 1 in the static MRLA-L. The product is taken channel by channel and then averaged over
    the channels of a head. Lambda is an unconstrained weight, so scores can be negative and rows
    need not sum to 1. In the formulations `"official"` and `"verbatim"` these scores are an
    approximation, and the result lists the stages in `approximate`: a layer that is called with a
    shortcut has this shortcut as its memory instead of the output of the recurrence, and in DLA-L
    the memory also passes through a depthwise convolution, which is left out here.

    Args:
        model: Keras model that contains `MRLABase`, `MRLALight` or `DynamicLayerAttention` at any
            level.
        images: array, `[batch, height, width, channels]` or channels first, normalised as the
            model expects it.
        batch_size: integer, the number of images per batch; defaults to 32.

    Returns:
        An `AttentionScores`: a dictionary from the name of each attention layer, in the order of
        the stages, to an array `[batch, heads, layers, layers]`. If a layer is used for several
        stages, the later ones are numbered: `"name_2"`.

    Raises:
        ValueError: when the model contains no layer attention, or `images` are not a batch of
            images.

    Source:
        Eq. 2, Eq. 3 and Figure 2 of https://arxiv.org/abs/2406.13392

    Example:
    >>> import numpy as np
    >>> import keras_dla
    >>> model = keras_dla.models.DLAResNet20(
    ...     classes=10, variant="base", data_format="channels_last"
    ... )
    >>> scores = keras_dla.analysis.attention_scores(model, np.ones((1, 32, 32, 3), "float32"))
    >>> for name, array in scores.items():
    ...     print(name, array.shape)
    stage1_interaction (1, 2, 2, 2)
    stage2_interaction (1, 4, 2, 2)
    stage3_interaction (1, 8, 2, 2)
    """
    stages = measure_stages(model, images, batch_size, reading_of_stage)
    weights = {name: stage["parts"] * stage["scales"] for name, stage in stages.items()}
    refreshed = {
        name: stage["parts"]
        for name, stage in stages.items()
        if stage["is_base"].all() and np.any(stage["scales"] != 1)
    }
    # The light form's scores include the scales already.
    scores = {**weights, **refreshed}
    approximate = {name for name, stage in stages.items() if stage["is_approximate"].any()}
    return AttentionScores(scores, weights, frozenset(approximate))


def reading_of_stage(layers: list[LayerReport]) -> dict[str, np.ndarray]:
    """Returns how much the layers of a stage read from each other, as two factors.

    Args:
        layers: list of the observations of each layer.

    Returns:
        A dictionary: `"parts"` `[batch, heads, layers, layers]`, the softmax of the base form, or
        the gate of the key layer in the light form; `"scales"` of the same shape, the product of
        the factors by which the key layer's values are multiplied until they are read; `"is_base"`
        and `"is_approximate"` `[batch]`.
    """
    is_base = "scores" in layers[0]
    parts = _softmaxes(layers) if is_base else _gates(layers)
    left = _left_of_values(layers) if is_base else _left_of_memory(layers)
    by_head = left.reshape(*left.shape[:3], parts.shape[1], -1).mean(-1)
    flags = {
        "is_base": np.full(len(parts), is_base),
        "is_approximate": np.full(len(parts), any(map(_is_approximate, layers))),
    }
    return {"parts": parts, "scales": np.moveaxis(by_head, -1, 1), **flags}


def _is_approximate(layer: LayerReport) -> bool:
    return bool(layer.get("approximate", False))


def _softmaxes(layers) -> np.ndarray:
    batch, _, heads = layers[0]["scores"].shape
    scores = np.zeros((batch, heads, len(layers), len(layers)), layers[0]["scores"].dtype)
    for asking, layer in enumerate(layers):
        scores[:, :, asking, : asking + 1] = layer["scores"].swapaxes(1, 2)
    return scores


def _gates(layers) -> np.ndarray:
    """Returns the gate of each layer in its column, in the rows of all layers that can read it."""
    gates = np.stack([layer["gate"] for layer in layers], axis=-1)
    return gates[:, :, None] * np.tri(len(layers), dtype=gates.dtype)


def _left_of_values(layers) -> np.ndarray:
    """Returns the factors of each layer's values, `[batch, layers, layers, channels]`."""
    batch, _, heads = layers[0]["scores"].shape
    scales = next((layer["scales"] for layer in layers if "scales" in layer), None)
    channels = heads if scales is None else scales.shape[-1]
    left = np.ones((batch, len(layers), len(layers), channels), layers[0]["scores"].dtype)
    for asking, layer in enumerate(layers):
        if "scales" in layer:
            left[:, asking:, :asking] *= layer["scales"][:, None]
    return left


def _left_of_memory(layers) -> np.ndarray:
    """Returns the remaining share of each layer's values, `[batch, layers, layers, channels]`."""
    batch, depth = len(layers[0]["gate"]), len(layers)
    left = np.ones((batch, depth, depth, layers[0]["decay"].size), layers[0]["gate"].dtype)
    for asking, layer in enumerate(layers):
        factor = np.broadcast_to(layer["decay"] * layer.get("scales", 1), left[:, 0, 0].shape)
        left[:, asking:, :asking] *= factor[:, None, None]
    return left
