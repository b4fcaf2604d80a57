"""Zero padding that PyTorch's compiler takes into its graph."""

import keras

from keras_dla.ops.cheap import pad
from keras_dla.utils.types import Tensor


@keras.saving.register_keras_serializable(package="keras_dla")
class ZeroPadding2D(keras.layers.ZeroPadding2D):
    """`keras.layers.ZeroPadding2D`, at which PyTorch's compiler itself would break the graph."""

    runs_by_call = True

    def call(self, inputs: Tensor) -> Tensor:
        widths = [(0, 0), *self.padding]
        channels = 1 if self.data_format == "channels_first" else 3
        widths.insert(channels, (0, 0))
        return pad(inputs, widths)

    def flops(self, inputs: Tensor) -> dict[str, int]:
        """Returns no multiply-adds: the layer only copies."""
        return {}
