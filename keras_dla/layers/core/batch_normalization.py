"""Batch normalisation with PyTorch's constants, through each backend's fused kernel."""

from typing import Any

import keras

from keras_dla.keras_internals.private_names import in_stateless_scope, values_of
from keras_dla.keras_internals.rematerialization import RematerializesTensors, recomputes
from keras_dla.ops.batch_norm import batch_norm
from keras_dla.ops.channels import channel_axis
from keras_dla.ops.cheap import cast, in_float32
from keras_dla.utils.types import Tensor
from keras_dla.utils.validation import standardize_data_format


@keras.saving.register_keras_serializable(package="keras_dla")
class BatchNormalization(RematerializesTensors, keras.layers.BatchNormalization):
    """A faster `keras.layers.BatchNormalization`, with epsilon 1e-5 and momentum 0.9.

    Keras composes BN of elementary operations, which XLA fuses, but PyTorch and TensorFlow without
    XLA do not; there this layer calls the framework's own kernel. The outputs are the same. The
    moving variance is updated with the unbiased variance on all backends, as in PyTorch; Keras uses
    the biased one.

    Args:
        data_format: `"channels_last"` or `"channels_first"`; defaults to Keras's own.
        synchronized: boolean, whether the statistics are taken over the batches of all devices that
            train together, which on JAX is always so; defaults to `False`.
        **kwargs: further arguments of `keras.layers.BatchNormalization`.

    Call arguments:
        inputs: `[batch, height, width, channels]` or channels first.
        training: boolean, whether to normalise with the batch's statistics; defaults to `None`, as
            Keras decides.
        mask: tensor or `None`, as in `keras.layers.BatchNormalization`; defaults to `None`.

    Returns:
        A tensor of the input's shape.

    Example:

    >>> import numpy as np
    >>> from keras_dla.layers import BatchNormalization
    >>> norm = BatchNormalization(data_format="channels_last")
    >>> tuple(norm(np.ones((2, 4, 4, 8), "float32"), training=True).shape)
    (2, 4, 4, 8)
    """

    # Whether a `LeanModel` may use `call` directly on PyTorch.
    runs_by_call = True

    def __init__(self, data_format: str | None = None, synchronized: bool = False, **kwargs: Any):
        data_format = standardize_data_format(data_format)
        super().__init__(
            **{"momentum": 0.9, "epsilon": 1e-5, **kwargs, "axis": channel_axis(data_format)}
        )
        self.data_format = data_format
        self.over_replicas = False
        if synchronized:
            self.synchronize()

    def synchronize(self) -> None:
        """Makes the layer take its statistics over the batches of all devices from now on."""
        self.over_replicas = True
        # Keras's own BN can do this on TensorFlow only, and refuses it elsewhere.
        self.synchronized = keras.backend.backend() == "tensorflow"

    def call(
        self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None
    ) -> Tensor:
        if mask is not None:
            return super().call(inputs, training=training, mask=mask)
        training = bool(training and self.trainable)
        gamma, beta, *moving = values_of(
            (self.gamma, self.beta, self.moving_mean, self.moving_variance)
        )
        outputs, *moved = batch_norm(
            in_float32(inputs),
            gamma,
            beta,
            self._may_change(moving) if training else tuple(moving),
            self.momentum,
            self.epsilon,
            training,
            self.data_format,
            self.over_replicas,
        )
        # A layer that is recomputed in the backward pass has updated them already.
        if training and not recomputes():
            self._move(moved)
        return cast(outputs, self.compute_dtype)

    def can_fold(self) -> bool:
        """Returns whether inference needs nothing but `folds`."""
        own = type(self).call is BatchNormalization.call
        return own and self.scale and self.center and self.compute_dtype == self.variable_dtype

    def folds(self) -> tuple[keras.Variable, ...]:
        """Returns what inference computes with: moving mean and variance, gamma and beta."""
        return self.moving_mean, self.moving_variance, self.gamma, self.beta

    def _may_change(self, moving):
        """Returns the statistics; on PyTorch, copies if the variables must not change in place."""
        in_place = keras.backend.backend() == "torch"
        if in_place and (in_stateless_scope() or recomputes()):
            return tuple(value.clone() for value in moving)
        return tuple(moving)

    def _move(self, moved):
        for variable, value in zip((self.moving_mean, self.moving_variance), moved, strict=True):
            if value is not variable.value:
                variable.assign(value)

    def get_config(self) -> dict[str, Any]:
        config = {
            **super().get_config(),
            "data_format": self.data_format,
            "synchronized": self.over_replicas,
        }
        del config["axis"]
        return config
