"""Global average pooling that computes float64 in float64 on every backend."""

import keras

from keras_dla.ops.channels import global_average_pool
from keras_dla.ops.cheap import cast
from keras_dla.utils.types import Tensor


@keras.saving.register_keras_serializable(package="keras_dla")
class GlobalAveragePooling2D(keras.layers.GlobalAveragePooling2D):
    """`keras.layers.GlobalAveragePooling2D`, which itself averages float64 in float32."""

    runs_by_call = True

    def call(self, inputs: Tensor) -> Tensor:
        if self.keepdims:
            return super().call(inputs)
        return cast(global_average_pool(inputs, self.data_format), self.compute_dtype)

    def flops(self, inputs: Tensor) -> dict[str, int]:
        """Returns no multiply-adds: the layer only adds."""
        return {}
