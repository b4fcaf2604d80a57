"""Static layer attention as a recurrence: MRLA-L, Eq. 3 of the paper."""

from typing import Any

import keras
from keras import ops

from keras_dla.keras_internals.private_names import values_of
from keras_dla.layers.interaction.layer_attention import LayerAttention
from keras_dla.layers.observation import report
from keras_dla.layers.registry import register_interaction
from keras_dla.ops.cheap import cast, reshape, sigmoid
from keras_dla.ops.light_recurrence import light_recurrence
from keras_dla.utils.types import Nest, Tensor


@keras.saving.register_keras_serializable(package="keras_dla")
@register_interaction("mrla_l")
class MRLALight(LayerAttention):
    """Layer attention that keeps one memory map instead of the maps of all layers (MRLA-L).

        o^l = lambda^l * o^(l-1) + gate(Q^l K^l / sqrt(D_k)) V^l            (Eq. 3)
        x^l <- x^l + drop path(BN(o^l))

    There is one departure from Eq. 3, as in the authors' code: the softmax over a single key would
    be the constant 1, so the gate is a sigmoid.

    With `formulation="paper"`, o^(l-1) is the output of the previous layer before its BN, zero at
    first. The authors' code (`"official"`, the same as `"verbatim"` here) takes the block's
    shortcut instead; without a shortcut, it is as in the paper.

    Args:
        depth: integer, the number of layers of the stage.
        head_size: integer, channels per head; divides the number of channels; defaults to `32`.
        drop_path: float, the probability of dropping a sample's attention output in training;
            defaults to `0.0`.
        formulation: `"official"`, `"paper"` or `"verbatim"`; defaults to `"official"`.
        data_format: `"channels_last"` or `"channels_first"`; Keras's own by default.

    Call arguments:
        features: `[batch, height, width, channels]` (or channels first), a block's residual branch,
            or its output if there is no shortcut.
        state: the state that the previous call returned; `None` at index 0.
        shortcut: optional tensor of the shape of `features`.
        index: integer, the layer's place in the stage.
        training: boolean or `None`, whether the layer trains; defaults to `None`, as Keras decides.

    Returns:
        The layer's new output, of the shape of `features`, and the state: the attention output o^l
        before BN, of the same shape.

    Raises:
        ValueError: if an argument has a value that is not allowed, or shapes do not fit.

    Example:
    >>> import numpy as np
    >>> from keras_dla.layers import MRLALight
    >>> attention = MRLALight(depth=2, data_format="channels_last")
    >>> x, state = attention(np.ones((1, 4, 4, 64), "float32"), index=0)
    >>> x, state = attention(x, state, index=1)
    >>> tuple(x.shape), tuple(state["output"].shape)
    ((1, 4, 4, 64), (1, 4, 4, 64))
    """

    memory_names: tuple[str, ...] = ("output",)

    def build(
        self, features_shape: tuple, state_shape: Any = None, shortcut_shape: Any = None
    ) -> None:
        super().build(features_shape, state_shape, shortcut_shape)
        self.decays = [
            self.add_weight(
                name=f"decay_{index}",
                shape=(self.channels,),
                initializer=keras.initializers.RandomNormal(stddev=1.0),
                autocast=False,
            )
            for index in range(self.depth)
        ]

    def recall(self, memory: Nest, shortcut: Tensor | None, x: Tensor) -> dict:
        if shortcut is not None and self.formulation != "paper":
            return {"output": cast(shortcut, self.compute_dtype), "is_shortcut": True}
        return memory or {"output": ops.zeros_like(x)}

    def attend(self, x: Tensor, y: Tensor, memory: dict, index: int) -> tuple[Tensor, dict]:
        gate, decay = self.gate(y, index), self.decays[index]
        report(self, index, gate=gate, decay=decay, approximate="is_shortcut" in memory)
        decay = ops.broadcast_to(decay, ops.shape(y))
        output = self.recurrence(x, gate, memory["output"], decay, None, index)
        return output, {"output": output}

    def gate(self, y: Tensor, index: int) -> Tensor:
        """Returns the gate of the layer's own value by head: `[batch, heads]`."""
        query, key = self.project(y, index)
        return reshape(sigmoid(self.logits(query, key)), (-1, self.heads))

    def recurrence(
        self,
        x: Tensor,
        gate: Tensor,
        memory: Tensor,
        decay: Tensor,
        of_memory: Tensor | None,
        index: int,
    ) -> Tensor:
        """Returns the o of Eq. 3: decay * o + gate * V.

        Args:
            x: tensor, the layer's features, from which V is convolved.
            gate: tensor `[batch, heads]`.
            memory: tensor, o^(l-1), of the shape of `x`.
            decay: tensor `[batch, channels]`.
            of_memory: optional tensor `[3, 3, channels]`, a kernel; the memory convolved with it
                is added.
            index: integer, the layer's place in the stage.
        """
        (kernel,), dtype = values_of([self.values[index].kernel]), self.compute_dtype
        return light_recurrence(
            x,
            cast(kernel, dtype),
            cast(self.by_channel(gate), dtype),
            memory,
            cast(decay, dtype),
            of_memory,
            self.data_format,
        )

    def flops(
        self, features: Tensor, state: Nest = None, shortcut: Tensor = None, index: int = 0
    ) -> dict[str, int]:
        return self.attention_flops(features, index, keys=1, maps=2)

    def state_spec(
        self, features: Tensor, state: Nest, shortcut: Tensor | None, index: int
    ) -> dict:
        return {"output": keras.KerasTensor(features.shape, self.compute_dtype)}
