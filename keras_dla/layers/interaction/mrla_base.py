"""Static layer attention over all layers of a stage: MRLA-B, Eq. 2 of the paper."""

from typing import Any

import keras
from keras import ops

from keras_dla.layers.interaction.layer_attention import LayerAttention
from keras_dla.layers.observation import report
from keras_dla.layers.registry import register_interaction
from keras_dla.ops.cheap import cast, concatenate, reshape
from keras_dla.ops.softmax import softmax
from keras_dla.ops.weighted_sum import weighted_sum
from keras_dla.utils.types import Nest, Tensor
from keras_dla.utils.validation import check_choice


@keras.saving.register_keras_serializable(package="keras_dla")
@register_interaction("mrla_b")
class MRLABase(LayerAttention):
    """Layer attention in which every layer reads all layers of its stage up to itself (MRLA-B).

        o^l = sum over m <= l of softmax(Q^l K^m / sqrt(D_k)) V^m           (Eq. 2)
        x^l <- x^l + drop path(ReLU(BN(o^l)))

    Q, K and V are those of Eq. 1, which `LayerAttention` computes. MRLA's own ImageNet network
    (`resnet50_mrlab`) has heads of 16 channels and no ReLU after its BN: `MRLABase(1, head_size=16,
    rectify=False)`.

    Args:
        depth: integer, the number of layers of the stage.
        head_size: integer, channels per head; divides the number of channels; defaults to `32`.
        drop_path: float, the probability of dropping a sample's attention output in training;
            defaults to `0.0`.
        formulation: has no effect here, because the paper and the authors' code agree; defaults to
            `"official"`.
        data_format: `"channels_last"` or `"channels_first"`; Keras's own by default.
        rectify: boolean, whether a ReLU follows the BN; defaults to `True`.

    Call arguments:
        features: `[batch, height, width, channels]` (or channels first), a block's residual branch,
            or its output if there is no shortcut.
        state: the state that the previous call returned; `None` at index 0.
        shortcut: optional tensor of the shape of `features`.
        index: integer, the layer's place in the stage.
        training: boolean or `None`, whether the layer trains; defaults to `None`, as Keras decides.

    Returns:
        The layer's new output, of the shape of `features`, and the state: `depth` value maps (those
        of later layers are the newest map) and the keys `[batch, index + 1, channels]`.

    Raises:
        ValueError: if an argument has a value that is not allowed, or shapes do not fit.

    Example:
    >>> import numpy as np
    >>> from keras_dla.layers import MRLABase
    >>> attention = MRLABase(depth=2, data_format="channels_last")
    >>> x, state = attention(np.ones((1, 4, 4, 64), "float32"), index=0)
    >>> x, state = attention(x, state, index=1)
    >>> tuple(x.shape), tuple(state["keys"].shape)
    ((1, 4, 4, 64), (1, 2, 64))
    """

    memory_names: tuple[str, ...] = ("keys", "values")

    def __init__(
        self,
        depth: int,
        head_size: int = 32,
        drop_path: float = 0.0,
        formulation: str = "official",
        data_format: str | None = None,
        rectify: bool = True,
        **kwargs: Any,
    ) -> None:
        check_choice("rectify", rectify, (True, False))
        super().__init__(depth, head_size, drop_path, formulation, data_format, **kwargs)
        self.rectify = rectify

    def attend(self, x: Tensor, y: Tensor, memory: dict, index: int) -> tuple[Tensor, dict]:
        query, keys, values = self.meet(x, y, memory, index)
        output, values = self.weighted_sum(self.scores(query, keys, index), values)
        return output, {"keys": keys, "values": values}

    def meet(self, x: Tensor, y: Tensor, memory: dict, index: int) -> tuple[Tensor, Tensor, list]:
        """Returns the query of the layer, and the keys and values of all layers up to it."""
        query, key = self.project(y, index)
        value = self.values[index].call(x)
        if index == 0:
            return query, key, [value]
        keys = concatenate([memory["keys"], key], axis=1)
        return query, keys, [*memory["values"][:index], value]

    def scores(self, query: Tensor, keys: Tensor, index: int) -> Tensor | None:
        """Returns softmax(Q K^T / sqrt(D_k)) by head: `[batch, layers, heads]`.

        The result is `None` for a layer that reads only itself, with a score of one.
        """
        if self._reads_only_itself(index):
            report(self, index, scores=lambda: ops.ones_like(keys[..., : self.heads]))
            return None
        scores = softmax(self.logits(query, keys), axis=1)
        report(self, index, scores=scores)
        return scores

    def _reads_only_itself(self, index):
        """Whether the layer has a single key, for which the softmax is one, whatever the query.

        Not in a stage of one layer, where f_q and f_k would be left without gradients, of which
        Keras warns.
        """
        return index == 0 and self.depth > 1

    def weighted_sum(
        self, scores: Tensor | None, values: list, scales: Tensor | None = None
    ) -> tuple[Tensor, list]:
        """Returns the sum of Eq. 2, and `depth` value maps for the next layer.

        Args:
            scores: tensor `[batch, layers, heads]`, or `None` if there is only one map, with a
                score of one.
            values: list of the layers' value maps.
            scales: tensor `[batch, layers, channels]`, by which the values are multiplied first,
                the newest by one; or `None`, the default, for ones.
        """
        output = values[0]
        if scores is not None:
            # Weighting V^m * d^m by a is the same as weighting V^m by a * d^m.
            weights = self.by_channel(scores) if scales is None else self.times(scales, scores)
            weights = cast(weights, self.compute_dtype)
            output, values = weighted_sum(values, weights, self.data_format)
        # A state has a fixed number of tensors, so the newest map stands for maps not known yet.
        return output, values + values[-1:] * (self.depth - len(values))

    def times(self, vectors: Tensor, scores: Tensor) -> Tensor:
        """Multiplies vectors `[batch, layers, channels]` by the scores of their heads."""
        products = self.by_head(vectors) * scores[..., None]
        return reshape(products, (-1, *vectors.shape[1:]))

    def flops(
        self, features: Tensor, state: Nest = None, shortcut: Tensor = None, index: int = 0
    ) -> dict[str, int]:
        return self.attention_flops(features, index, keys=index + 1, maps=index + 1)

    def state_spec(
        self, features: Tensor, state: Nest, shortcut: Tensor | None, index: int
    ) -> dict:
        return {
            "keys": self.vectors_spec(features, index),
            "values": [
                keras.KerasTensor(features.shape, self.compute_dtype) for _ in range(self.depth)
            ],
        }

    def vectors_spec(self, features: Tensor, index: int) -> keras.KerasTensor:
        """Returns the spec of one vector of channels per layer up to `index`."""
        return keras.KerasTensor((features.shape[0], index + 1, self.channels), self.variable_dtype)

    def get_config(self) -> dict:
        return {**super().get_config(), "rectify": self.rectify}
