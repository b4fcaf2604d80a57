"""Eq. 6 of the paper, the backward path of dynamic layer attention: old layers are refreshed.

d^m = Dyn(y^m, c^l),  x^m <- x^m * d^m  for the layers m < l
"""

from typing import Any

from keras import ops

from keras_dla.keras_internals.private_names import values_of
from keras_dla.layers.flops import kernel_flops, positions
from keras_dla.layers.interaction.layer_attention import DepthwiseConv3x3
from keras_dla.layers.interaction.mrla_base import MRLABase
from keras_dla.layers.interaction.mrla_light import MRLALight
from keras_dla.layers.observation import report
from keras_dla.ops.channel_convolution import convolve_channels
from keras_dla.ops.channels import average_and_map
from keras_dla.ops.cheap import cast, concatenate, reshape, split_at, stack
from keras_dla.utils.types import Nest, Tensor

STATE = ("keys", "pooled", "scales", "values")


def scales_of(read: Tensor, context: list, recalled: Tensor, unit: Any, formulation: str) -> Tensor:
    """Returns d^m = Dyn(y^m, c^l) of all layers m: `[batch, layers, channels]`.

    Args:
        read: tensor `[batch, layers, ...]`, what the unit reads of the y^m.
        context: list of tensors `[batch, ...]`, the unit's states at layer l.
        recalled: tensor `[batch, ...]`, what the unit recalls of them.
        unit: `UnitSteps`, the recurrent unit Dyn.
        formulation: `"official"`, `"paper"` or `"verbatim"`; with `"verbatim"`, every image gets
            the context of the batch's first image.
    """
    if formulation == "verbatim":
        context, recalled = [tensor[:1] for tensor in context], recalled[:1]
    # Every layer is combined with the same context.
    context = [tensor[:, None] for tensor in context]
    scales, _ = unit.step(read, recalled[:, None], context)
    return scales


class RefreshedMRLABase(MRLABase):
    """DLA-B's attention: Eq. 2 over the refreshed features of all layers.

    Scaling channels commutes with pooling and with a depthwise convolution, so old feature maps are
    never changed: each value map is kept unchanged, together with the product of its scales
    (`scales`) and its pooled features (`pooled`). A stage of n layers keeps n maps; rewriting them
    at every layer would keep n**2. No layer reads the pooled features that the last one leaves
    behind, so it leaves those of the layers before it.
    """

    memory_names = STATE

    def pooled(self, memory: dict, index: int) -> list[Tensor]:
        """Returns the pooled features y^m to be refreshed, each `[batch, layers, channels]`."""
        if index == 0:
            return []
        if self.formulation == "paper":
            return [memory["pooled"]]
        return [memory["keys"], memory["pooled"]]

    def refresh(self, memory: dict, d: Tensor, index: int) -> dict:
        """Returns the memory with every old layer refreshed.

        Args:
            memory: dictionary of the layers m < `index`: `values`, and `keys`, `pooled`, `scales`,
                each `[batch, index, channels]`.
            d: tensor, the scales for what `pooled` returned.
            index: integer, the layer's place in the stage.
        """
        if self.formulation == "paper":
            return self._refresh_features(memory, d, index)
        return self._refresh_keys_and_values(memory, d, index)

    def _refresh_features(self, memory, d, index):
        """x^m <- x^m * d^m; K^m is recomputed from it, and V^m is scaled with it."""
        report(self, index, scales=d)
        pooled = memory["pooled"] * d
        # TensorFlow cannot stack variables, only tensors.
        kernels = stack(values_of([self.keys[m].kernel for m in range(index)]))
        keys = convolve_channels(pooled, kernels)
        return {**memory, "keys": keys, "pooled": pooled, **self._refresh_scales(memory, d, index)}

    def _refresh_keys_and_values(self, memory, d, index):
        """K^m <- K^m * Dyn(K^m) and V^m <- V^m * Dyn(pooled V^m)."""
        of_keys, of_values = split_at(d, index, axis=1)
        report(self, index, scales=of_values)
        pooled = memory["pooled"]
        return {
            **memory,
            "keys": memory["keys"] * of_keys,
            "pooled": pooled if self._is_last(index) else pooled * of_values,
            **self._refresh_scales(memory, of_values, index),
        }

    def _refresh_scales(self, memory, d, index):
        """Returns the scales times d, and those of a new layer, which has not been refreshed."""
        scales = memory["scales"]
        return {"scales": d if index == 1 else scales * d, "ones": scales[:, -1:]}

    def attend(self, x: Tensor, y: Tensor, memory: dict, index: int) -> tuple[Tensor, dict]:
        query, keys, values = self.meet(x, y, memory, index)
        pooled, values[index] = self._pooled(y, values[index], memory, index)
        ones = memory["ones"] if index else ops.ones_like(y[:, None])
        scales = self._append(memory, "scales", ones, index)
        scores = self.scores(query, keys, index)
        output, values = self.weighted_sum(scores, values, scales)
        return output, {"keys": keys, "pooled": pooled, "scales": scales, "values": values}

    def _pooled(self, y, value, memory, index):
        """Returns the pooled features of the layers, and the map as everything after reads it."""
        if self._is_last(index) and index > 0:
            return memory["pooled"], value
        if self.formulation != "paper":
            y, value = average_and_map(value, self.data_format)
        return self._append(memory, "pooled", y[:, None], index), value

    def _append(self, memory, name, vector, index):
        return concatenate([memory[name], vector], axis=1) if index else vector

    def _is_last(self, index):
        return index == self.depth - 1

    def refreshed(self, index: int) -> int:
        """Returns how many vectors the unit scales at layer `index`."""
        return index if self.formulation == "paper" else 2 * index

    def flops(
        self, features: Tensor, state: Nest = None, shortcut: Tensor = None, index: int = 0
    ) -> dict[str, int]:
        flops = super().flops(features, state, shortcut, index)
        if self.formulation == "paper":
            kernels = [self.keys[m].kernel for m in range(index)]
            flops["projections"] += kernel_flops(*kernels, times=self.channels)
        return flops

    def state_spec(
        self, features: Tensor, state: Nest, shortcut: Tensor | None, index: int
    ) -> dict:
        spec = super().state_spec(features, state, shortcut, index)
        pooled = max(index - 1, 0) if self._is_last(index) else index
        spec["pooled"] = self.vectors_spec(features, pooled)
        spec["scales"] = self.vectors_spec(features, index)
        # In the order of `attend`, because not every backend sorts the keys of a dictionary.
        return {name: spec[name] for name in STATE}


class RefreshedMRLALight(MRLALight):
    """DLA-L's attention: Eq. 3 with a refreshed memory.

        o^(l-1) <- o^(l-1) * d

    The authors' code adds a depthwise 3x3 convolution of the memory, with one kernel for the whole
    stage (`excite`), which the paper does not mention.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.formulation != "paper":
            self.excite = DepthwiseConv3x3(self.data_format, dtype=self.dtype_policy, name="excite")

    def build(
        self, features_shape: tuple, state_shape: Any = None, shortcut_shape: Any = None
    ) -> None:
        super().build(features_shape, state_shape, shortcut_shape)
        if self.formulation != "paper":
            self.excite.build(features_shape)

    def recall(self, memory: Nest, shortcut: Tensor | None, x: Tensor) -> dict:
        memory = super().recall(memory, shortcut, x)
        y, output = average_and_map(memory["output"], self.data_format)
        return {**memory, "output": output, "pooled": y[:, None]}

    def pooled(self, memory: dict, index: int) -> list[Tensor]:
        """Returns the y of the memory's map, `[batch, 1, channels]`."""
        return [memory["pooled"]]

    def refresh(self, memory: dict, d: Tensor, index: int) -> dict:
        """Returns the memory with the scales d of its map.

        The map itself is scaled when `attend` reads it, together with lambda.

        Args:
            memory: dictionary, with the map o^(l-1) as `output`.
            d: tensor `[batch, 1, channels]`, the scales.
            index: integer, the layer's place in the stage.
        """
        d = reshape(d, (-1, self.channels))
        report(self, index, scales=d)
        return {**memory, "scales": d}

    def attend(self, x: Tensor, y: Tensor, memory: dict, index: int) -> tuple[Tensor, dict]:
        gate, decay = self.gate(y, index), self.decays[index]
        # lambda * (o * d + depthwise(o)) reads the map o once for both terms.
        excitation = self._excitation(index)
        # A product of scales cannot describe what is read from a shortcut or through a convolution.
        approximate = "is_shortcut" in memory or excitation is not None
        report(self, index, gate=gate, decay=decay, approximate=approximate)
        scales = decay.value * memory["scales"]
        output = self.recurrence(x, gate, memory["output"], scales, excitation, index)
        return output, {"output": output}

    def _excitation(self, index):
        """Returns the kernel of lambda * depthwise(o)."""
        if self.formulation == "paper":
            return None
        kernel, decay = values_of([self.excite.kernel, self.decays[index]])
        dtype = self.compute_dtype
        return cast(kernel, dtype) * cast(decay, dtype)

    def refreshed(self, index: int) -> int:
        """Returns how many vectors the unit scales at layer `index`."""
        return 1

    def flops(
        self, features: Tensor, state: Nest = None, shortcut: Tensor = None, index: int = 0
    ) -> dict[str, int]:
        flops = super().flops(features, state, shortcut, index)
        if self.formulation != "paper":
            places = positions(features, self.data_format)
            flops["excitation"] = kernel_flops(self.excite.kernel, times=places)
        return flops
