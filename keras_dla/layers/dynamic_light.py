"""The backward path of DLA-L: the one map of memory refreshed."""

from keras import ops

from keras_dla.layers.channels import global_average_pool
from keras_dla.layers.depthwise_convolution import DepthwiseConv3x3
from keras_dla.layers.light_layer_attention import LightLayerAttention
from keras_dla.layers.observation import report


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
        """Returns the memory with its map refreshed.

        Args:
            memory: `output`, the map o^(l-1).
            dyn: function that maps pooled features `[batch, 1, channels]` to their scales d, given
                the context of this layer.
            index: the layer's place in the stage.
        """
        old = memory["output"]
        d = dyn(ops.expand_dims(global_average_pool(old, self.data_format), 1))[:, 0]
        report(self, index, scales=d)
        refreshed = old * self.shaped(d)
        if self.formulation != "paper":
            refreshed = refreshed + self.excite(old)
        return {"output": refreshed}
