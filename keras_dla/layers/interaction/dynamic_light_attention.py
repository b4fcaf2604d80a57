"""The backward path of DLA-L: the one map of memory refreshed."""

from keras_dla.layers.core.depthwise_convolution import DepthwiseConv3x3
from keras_dla.layers.flops import kernel_flops, positions
from keras_dla.layers.interaction.light_layer_attention import LightLayerAttention
from keras_dla.layers.observation import report
from keras_dla.ops.channels import global_average_pool
from keras_dla.ops.cheap import cast


class DynamicLight(LightLayerAttention):
    """Recurrent layer attention over a refreshed memory (Eq. 6 before Eq. 3).

        o^(l-1) <- o^(l-1) * d

    The authors' code adds a depthwise 3x3 convolution of the memory, with one kernel for the whole
    stage, which the paper does not mention.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.formulation != "paper":
            self.excite = DepthwiseConv3x3(self.data_format, dtype=self.dtype_policy)

    def build(self, features_shape, state_shape=None, shortcut_shape=None):
        super().build(features_shape, state_shape, shortcut_shape)
        if self.formulation != "paper":
            self.excite.build(features_shape)

    def refresh(self, memory, dyn, index: int):
        """Returns the memory with the scales d of its map.

        The map itself is scaled where `attend` reads it, together with lambda.

        Args:
            memory: `output`, the map o^(l-1).
            dyn: function that maps pooled features `[batch, channels]` to their scales d, given the
                context of this layer.
            index: the layer's place in the stage.
        """
        pooled = global_average_pool(memory["output"], self.data_format)
        d = dyn(pooled)
        report(self, index, scales=d)
        return {**memory, "scales": d}

    def refreshed(self, index: int) -> int:
        """Returns how many vectors the unit scales at layer `index`."""
        return 1

    def flops(self, features, state=None, shortcut=None, index=0):
        flops = super().flops(features, state, shortcut, index)
        if self.formulation != "paper":
            places = positions(features, self.data_format)
            flops["excitation"] = kernel_flops(self.excite.kernel, times=places)
        return flops

    def excitation(self, index: int):
        """Returns the kernel of lambda * depthwise(o)."""
        if self.formulation == "paper":
            return None
        kernel, decay = self.excite.kernel.value, self.decays[index].value
        return cast(kernel, self.compute_dtype) * cast(decay, self.compute_dtype)
