"""Batch normalisation with PyTorch's constants, through each backend's fused kernel."""

import keras

from keras_dla.ops.batch_norm import fused_kernel
from keras_dla.ops.channels import channel_axis
from keras_dla.ops.cheap import cast, in_float32
from keras_dla.utils.validation import standardize_data_format


@keras.saving.register_keras_serializable(package="keras_dla")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` with epsilon 1e-5 and momentum 0.9, and faster.

    Keras composes BN of elementary operations, which XLA fuses again but PyTorch and TensorFlow
    outside XLA do not; there this layer calls the framework's own kernel. The numbers are the same.

    Args:
        data_format: `"channels_last"` or `"channels_first"`; Keras's own by default.
        synchronized: boolean, whether the statistics are those of the batches of all devices that
            train together, as on JAX they always are.
        **kwargs: further arguments of `keras.layers.BatchNormalization`.

    Call arguments:
        inputs: `[batch, height, width, channels]` or channels first.
        training: boolean, whether to normalise with the batch's statistics.

    Returns:
        A tensor of the input's shape.

    Example:

    >>> import numpy as np
    >>> from keras_dla.layers import BatchNormalization
    >>> norm = BatchNormalization(data_format="channels_last")
    >>> tuple(norm(np.ones((2, 4, 4, 8), "float32"), training=True).shape)
    (2, 4, 4, 8)
    """

    def __init__(self, data_format: str | None = None, synchronized: bool = False, **kwargs):
        data_format = standardize_data_format(data_format)
        super().__init__(
            **{"momentum": 0.9, "epsilon": 1e-5, **kwargs, "axis": channel_axis(data_format)}
        )
        self.data_format = data_format
        self.over_replicas = False
        if synchronized:
            self.synchronize()

    def synchronize(self):
        """Takes the statistics over the batches of all devices from now on."""
        self.over_replicas = True
        # Keras's own BN can do it on TensorFlow, and refuses elsewhere.
        self.synchronized = keras.backend.backend() == "tensorflow"

    def has_kernel_weights(self) -> bool:
        """Returns whether the kernels can be called: they want both weights, in float32."""
        return self.scale and self.center and self.variable_dtype == "float32"

    def call(self, inputs, training=None, mask=None):
        fused = fused_kernel(self.data_format, self.over_replicas)
        if fused is None or not self.has_kernel_weights() or mask is not None:
            return super().call(inputs, training=training, mask=mask)
        inputs = in_float32(inputs)
        if not (training and self.trainable):
            statistics = self.moving_mean, self.moving_variance
            outputs, _, _ = fused(inputs, self.gamma, self.beta, self.epsilon, statistics)
        else:
            outputs, mean, variance = fused(inputs, self.gamma, self.beta, self.epsilon, None)
            self._move(self.moving_mean, mean)
            self._move(self.moving_variance, variance)
        return cast(outputs, self.compute_dtype)

    def _move(self, moving, value):
        moving.assign(moving.value * self.momentum + value * (1.0 - self.momentum))

    def get_config(self):
        config = {
            **super().get_config(),
            "data_format": self.data_format,
            "synchronized": self.over_replicas,
        }
        del config["axis"]
        return config
