"""The backward path of DLA-B: all old layers of a stage refreshed at once."""

from keras import ops

from keras_dla.layers.flops import kernel_flops
from keras_dla.layers.interaction.base_layer_attention import BaseLayerAttention
from keras_dla.layers.observation import report
from keras_dla.ops.channel_convolution import convolve_channels
from keras_dla.ops.channels import global_average_pool

STATE = ("keys", "pooled", "scales", "values")


class DynamicBase(BaseLayerAttention):
    """Layer attention over the refreshed features of all layers (Eq. 6 before Eq. 2).

    Scaling channels commutes with pooling and with a depthwise convolution, so no old feature map
    is ever touched: each value map is kept as it was made, with the product of its scales
    (`scales`) and its pooled features (`pooled`) beside it. A stage of n layers keeps n maps, where
    rewriting them at every layer would keep n**2.
    """

    def refresh(self, memory, dyn, index: int):
        """Returns the memory with every old layer refreshed.

        Args:
            memory: of the layers m < `index`: `values`, and `keys`, `pooled`, `scales`, each
                `[batch, index, channels]`.
            dyn: function that maps pooled features `[batch, layers, channels]` to their scales
                d, given the context of this layer.
            index: the layer's place in the stage.
        """
        if index == 0:
            return memory
        if self.formulation == "paper":
            return self._refresh_features(memory, dyn, index)
        return self._refresh_keys_and_values(memory, dyn, index)

    def _refresh_features(self, memory, dyn, index):
        """x^m <- x^m * d^m; K^m is made anew from it, V^m scales with it."""
        d = dyn(memory["pooled"])
        report(self, index, scales=d)
        pooled = memory["pooled"] * d
        # TensorFlow stacks tensors, not variables.
        kernels = ops.stack([self.keys[m].kernel.value for m in range(index)])
        keys = convolve_channels(pooled, kernels)
        return {**memory, "keys": keys, "pooled": pooled, "scales": memory["scales"] * d}

    def _refresh_keys_and_values(self, memory, dyn, index):
        """K^m <- K^m * Dyn(K^m) and V^m <- V^m * Dyn(pooled V^m)."""
        d = dyn(ops.concatenate([memory["keys"], memory["pooled"]], axis=1))
        of_keys, of_values = d[:, :index], d[:, index:]
        report(self, index, scales=of_values)
        return {
            **memory,
            "keys": memory["keys"] * of_keys,
            "pooled": memory["pooled"] * of_values,
            "scales": memory["scales"] * of_values,
        }

    def attend(self, x, y, memory, index: int):
        one = ops.ones_like(ops.expand_dims(y, 1))
        memory = {**memory, "scales": self._append(memory, "scales", one, index)}
        output, memory = super().attend(x, y, memory, index)
        pooled = y
        if self.formulation != "paper":
            pooled = global_average_pool(memory["values"][index], self.data_format)
        pooled = self._append(memory, "pooled", ops.expand_dims(pooled, 1), index)
        # In the order of `state_spec`: not every backend sorts the keys of a nest.
        return output, {name: {**memory, "pooled": pooled}[name] for name in STATE}

    def _append(self, memory, name, vector, index):
        return ops.concatenate([memory[name], vector], axis=1) if index else vector

    def refreshed(self, index: int) -> int:
        """Returns how many vectors the unit scales at layer `index`."""
        return index if self.formulation == "paper" else 2 * index

    def flops(self, features, state=None, shortcut=None, index=0):
        flops = super().flops(features, state, shortcut, index)
        if self.formulation == "paper":
            kernels = [self.keys[m].kernel for m in range(index)]
            flops["projections"] += kernel_flops(*kernels, times=self.channels)
        return flops

    def state_spec(self, features, state, shortcut, index):
        spec = super().state_spec(features, state, shortcut, index)
        spec["pooled"] = self.vectors_spec(features, index)
        spec["scales"] = self.vectors_spec(features, index)
        return {name: spec[name] for name in STATE}
